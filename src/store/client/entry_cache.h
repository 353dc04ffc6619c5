// SPDX-License-Identifier: Apache-2.0
// Entries of objects that were found or committed not long ago. They may be out of date: whoever
// reads an object compares its checksum.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "object_entry.h"

namespace mooncake::store {

using EntryPtr = std::shared_ptr<const ObjectEntry>;

// Of a bounded number. Of those that were not found since the hand was there last, one goes (the
// clock algorithm): a find writes to nothing but the item, since every line of memory that it
// touches costs as much as the rest.
//
// Thread rule: any thread.
class EntryCache {
 public:
    explicit EntryCache(size_t capacity);

    // Null where it is not there.
    EntryPtr find(const std::string& key);
    // The same for many keys, whose memory is fetched side by side. As many entries as keys; those
    // that are not there are left as they are.
    void find(std::span<const std::string* const> keys, std::span<EntryPtr> entries);
    uint64_t mark() const { return clock_.load(); }
    // What this client has committed, by a call that began after mark() gave `mark`. Where the key
    // was put, or something dropped, since then, nobody here knows which of the two came later:
    // the key is forgotten.
    void put(const std::string& key, EntryPtr entry, uint64_t mark);
    // What a look-up has found that began after mark() gave `mark`. Not kept where the key was put,
    // or something dropped, since then: it may be of before.
    void putFound(const std::string& key, EntryPtr entry, uint64_t mark);
    // What is removed is dropped after the directory has done so.
    void drop(const std::string& key);
    void clear();
    size_t size() const;

 private:
    // Several, so that threads seldom meet.
    static constexpr size_t kShards = 16;
    static constexpr uint32_t kNone = UINT32_MAX;

    struct Item {
        size_t hash = 0;
        uint32_t next = kNone;  // in the same bucket
        bool was_found = false;
        EntryPtr entry;  // null: the place is free
        uint64_t put_at = 0;
        std::string key;
    };
    class Shard {
     public:
        mutable std::mutex mutex;
        uint64_t dropped_at = 0;
        size_t capacity = 0;

        // All with the mutex.
        Item* find(const std::string& key, size_t hash);
        // What find() will look at first, then next.
        void fetchBucket(size_t hash) const;
        void fetchItem(size_t hash) const;
        Item& add(const std::string& key, size_t hash);
        void remove(const std::string& key, size_t hash);
        void clear();
        size_t size() const { return items_.size() - free_.size(); }

     private:
        size_t placeOf(size_t hash) const { return hash / kShards % buckets_.size(); }
        uint32_t& bucketOf(size_t hash) { return buckets_[placeOf(hash)]; }
        void unlink(uint32_t number);
        uint32_t freePlace();
        void addBuckets();

        std::vector<Item> items_;
        std::vector<uint32_t> buckets_;  // the first item of each
        std::vector<uint32_t> free_;
        uint32_t hand_ = 0;
    };
    Shard& shardOf(size_t hash) { return shards_[hash % kShards]; }
    void putLocked(Shard& shard, const std::string& key, size_t hash, EntryPtr entry);
    void dropLocked(Shard& shard, const std::string& key, size_t hash);

    std::array<Shard, kShards> shards_;
    std::atomic<uint64_t> clock_{0};  // of puts and drops
};

}  // namespace mooncake::store
