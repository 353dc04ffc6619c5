// SPDX-License-Identifier: Apache-2.0
// Entries of objects that were found or committed not long ago. They may be out of date: whoever
// reads an object compares its checksum.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
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
    // What this client has committed.
    void put(const std::string& key, EntryPtr entry);
    // What a look-up has found that began after mark() gave `mark`. Not kept where the key was put,
    // or something dropped, since then: it may be of before.
    uint64_t mark() const { return clock_.load(); }
    void putFound(const std::string& key, EntryPtr entry, uint64_t mark);
    // What is removed is dropped after the directory has done so.
    void drop(const std::string& key);
    void clear();
    size_t size() const;

 private:
    // Several, so that threads seldom meet.
    static constexpr size_t kShards = 16;

    struct Item {
        std::string key;
        EntryPtr entry;
        uint64_t put_at;
    };
    struct Shard {
        mutable std::mutex mutex;
        std::list<Item> items;  // the last used first
        uint64_t dropped_at = 0;
        std::unordered_map<std::string_view, std::list<Item>::iterator> places;
    };
    Shard& shardOf(const std::string& key);
    void putLocked(Shard& shard, const std::string& key, EntryPtr entry);

    const size_t of_shard_;
    std::array<Shard, kShards> shards_;
    std::atomic<uint64_t> clock_{0};  // of puts and drops
};

}  // namespace mooncake::store
