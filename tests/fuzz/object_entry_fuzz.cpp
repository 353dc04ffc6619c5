// SPDX-License-Identifier: Apache-2.0
// Entries of the directory, which may come from a damaged disk. The first byte tells how long the
// key is. Bytes with a wrong check are refused, and those with a right one have one meaning.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bytes.h"
#include "entry_codec.h"
#include "require.h"

using namespace mooncake::store;

namespace {

void decode(std::string_view key, std::string_view bytes) {
    const auto entry = decodeEntry(key, bytes);
    if (!entry) {
        REQUIRE(!entry.error().message.empty());
        return;
    }
    REQUIRE(checkEntry(*entry).has_value());
    REQUIRE(encodeEntry(key, *entry) == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
    const std::string_view key = bytes.substr(0, data[0] % 32);
    bytes.remove_prefix(key.size());
    decode(key, bytes);
    std::string checked(bytes);
    putFixed(&checked, entryCheck(key, bytes));
    decode(key, checked);
    return 0;
}
