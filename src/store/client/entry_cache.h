// SPDX-License-Identifier: Apache-2.0
// Entries of objects that were found or committed not long ago. They may be out of date: whoever
// reads an object compares its checksum.
#pragma once

#include <array>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "object_entry.h"

namespace mooncake::store {

using EntryPtr = std::shared_ptr<const ObjectEntry>;

// Of a bounded number; the one used longest ago goes.
//
// Thread rule: any thread.
class EntryCache {
 public:
    explicit EntryCache(size_t capacity);

    // Null where it is not there.
    EntryPtr find(const std::string& key);
    void put(const std::string& key, EntryPtr entry);
    void drop(const std::string& key);
    void clear();
    size_t size() const;

 private:
    // Several, so that threads seldom meet.
    static constexpr size_t kShards = 16;

    struct Item {
        std::string key;
        EntryPtr entry;
    };
    struct Shard {
        mutable std::mutex mutex;
        std::list<Item> items;  // the last used first
        std::unordered_map<std::string_view, std::list<Item>::iterator> places;
    };
    Shard& shardOf(const std::string& key);

    const size_t of_shard_;
    std::array<Shard, kShards> shards_;
};

}  // namespace mooncake::store
