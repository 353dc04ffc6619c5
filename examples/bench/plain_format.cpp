// SPDX-License-Identifier: Apache-2.0
#include "bench/plain_format.h"

#include <clocale>
#include <cstdarg>
#include <cstdio>

namespace mooncake::bench {

std::string plainFormat(const char* pattern, ...) {
    static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
    char text[512];
    const locale_t before = ::uselocale(plain);
    va_list arguments;
    va_start(arguments, pattern);
    std::vsnprintf(text, sizeof(text), pattern, arguments);
    va_end(arguments);
    ::uselocale(before);
    return text;
}

}  // namespace mooncake::bench
