// SPDX-License-Identifier: Apache-2.0
#include "key_order.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace mooncake::store {

namespace {

size_t commonPrefix(std::span<const std::string> keys) {
    size_t length = keys.empty() ? 0 : keys.front().size();
    for (const std::string& key : keys) {
        const auto end = key.begin() + static_cast<std::ptrdiff_t>(std::min(length, key.size()));
        length = static_cast<size_t>(std::mismatch(key.begin(), end, keys.front().begin()).first -
                                     key.begin());
    }
    return length;
}

// As a number, the first byte the most significant; missing ones count as zero.
uint64_t firstBytes(std::string_view text) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); ++i) {
        number = number << 8 | (i < text.size() ? static_cast<uint8_t>(text[i]) : 0U);
    }
    return number;
}

}  // namespace

std::vector<size_t> orderOf(std::span<const std::string> keys) {
    // What most keys begin with says nothing; the eight bytes after it nearly always say it all.
    struct Item {
        uint64_t first;
        size_t place;
    };
    const size_t skip = commonPrefix(keys);
    std::vector<Item> items(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
        items[i] = {firstBytes(std::string_view(keys[i]).substr(skip)), i};
    }
    std::sort(items.begin(), items.end(), [&](const Item& one, const Item& other) {
        return one.first != other.first ? one.first < other.first
                                        : keys[one.place] < keys[other.place];
    });
    std::vector<size_t> order(keys.size());
    for (size_t i = 0; i < items.size(); ++i) order[i] = items[i].place;
    return order;
}

}  // namespace mooncake::store
