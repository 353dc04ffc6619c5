// SPDX-License-Identifier: Apache-2.0
#include "comma_locale.h"

#include <stdlib.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

namespace test_support {
namespace {

struct CommaNumbers : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
};

std::string contentOf(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

CommaLocale::CommaLocale() : streams_(std::locale()) {
    // A compiled locale with another decimal point: that is the one point in its file.
    std::string name = (std::filesystem::temp_directory_path() / "locale-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    const auto numbers = folder_ / "comma.UTF-8" / "LC_NUMERIC";
    std::filesystem::create_directories(numbers.parent_path());
    std::string text = contentOf("/usr/lib/locale/C.utf8/LC_NUMERIC");
    // Behind its header: a number of the header may be the same byte.
    std::replace(text.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(text.size(), 32)),
                 text.end(), '.', ',');
    std::ofstream(numbers, std::ios::binary) << text;
    ::setenv("LOCPATH", folder_.c_str(), 1);
    const bool set = std::setlocale(LC_NUMERIC, "comma.UTF-8") != nullptr;
    ::unsetenv("LOCPATH");
    std::locale::global(std::locale(std::locale(), new CommaNumbers));
    char half[8];
    std::snprintf(half, sizeof(half), "%.1f", 0.5);
    complete_ = set && std::string(half) == "0,5";
}

CommaLocale::~CommaLocale() {
    std::setlocale(LC_NUMERIC, "C");
    std::locale::global(streams_);
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
}

}  // namespace test_support
