// SPDX-License-Identifier: Apache-2.0
#include "entry_cache.h"

#include <utility>

namespace mooncake::store {
namespace {

size_t hashOf(const std::string& key) {
    return std::hash<std::string>()(key);
}

}  // namespace

// --- One shard

EntryCache::Item* EntryCache::Shard::find(const std::string& key, size_t hash) {
    if (buckets_.empty()) return nullptr;
    for (uint32_t at = bucketOf(hash); at != kNone; at = items_[at].next) {
        if (items_[at].hash == hash && items_[at].key == key) return &items_[at];
    }
    return nullptr;
}

void EntryCache::Shard::fetchBucket(size_t hash) const {
    if (!buckets_.empty()) __builtin_prefetch(&buckets_[placeOf(hash)]);
}

void EntryCache::Shard::fetchItem(size_t hash) const {
    if (buckets_.empty()) return;
    const uint32_t first = buckets_[placeOf(hash)];
    if (first != kNone) __builtin_prefetch(&items_[first]);
}

// One that is not there, in a place of its own.
EntryCache::Item& EntryCache::Shard::add(const std::string& key, size_t hash) {
    std::string own = key;
    const uint32_t number = freePlace();
    // Nothing throws from here on.
    Item& item = items_[number];
    item.key = std::move(own);
    item.hash = hash;
    item.was_found = false;
    item.next = std::exchange(bucketOf(hash), number);
    return item;
}

uint32_t EntryCache::Shard::freePlace() {
    if (free_.empty() && items_.size() < capacity) {
        if (items_.size() == buckets_.size()) addBuckets();
        items_.emplace_back();
        return static_cast<uint32_t>(items_.size() - 1);
    }
    if (free_.empty()) {
        for (;; ++hand_) {
            if (hand_ == items_.size()) hand_ = 0;
            if (!std::exchange(items_[hand_].was_found, false)) break;
        }
        unlink(hand_);
        return hand_++;
    }
    const uint32_t number = free_.back();
    free_.pop_back();
    return number;
}

void EntryCache::Shard::addBuckets() {
    constexpr size_t kFewest = 16;
    const size_t count = buckets_.empty() ? kFewest : buckets_.size() * 2;
    // A place for each that may be removed: that must not need memory, or what the directory has
    // removed would still be found here.
    free_.reserve(count);
    buckets_.assign(count, kNone);
    for (uint32_t number = 0; number < items_.size(); ++number) {
        Item& item = items_[number];
        if (item.entry) item.next = std::exchange(bucketOf(item.hash), number);
    }
}

void EntryCache::Shard::unlink(uint32_t number) {
    uint32_t* at = &bucketOf(items_[number].hash);
    while (*at != number) at = &items_[*at].next;
    *at = items_[number].next;
}

void EntryCache::Shard::remove(const std::string& key, size_t hash) {
    Item* const item = find(key, hash);
    if (item == nullptr) return;
    const auto number = static_cast<uint32_t>(item - items_.data());
    free_.push_back(number);
    unlink(number);
    item->entry = nullptr;
    item->was_found = false;
}

void EntryCache::Shard::clear() {
    items_.clear();
    buckets_.clear();
    free_.clear();
    hand_ = 0;
}

// --- All of them

EntryCache::EntryCache(size_t capacity) {
    for (Shard& shard : shards_) shard.capacity = (capacity + kShards - 1) / kShards;
}

EntryPtr EntryCache::find(const std::string& key) {
    const std::string* const keys[] = {&key};
    EntryPtr entries[1];
    find(keys, entries);
    return std::move(entries[0]);
}

void EntryCache::find(std::span<const std::string* const> keys, std::span<EntryPtr> entries) {
    // By shards, each of which is locked once.
    std::vector<std::pair<size_t, size_t>> places(keys.size());  // hash, and number of the key
    for (size_t i = 0; i < keys.size(); ++i) places[i] = {hashOf(*keys[i]), i};
    std::vector<std::pair<size_t, size_t>> of_shard;
    for (size_t number = 0; number < kShards; ++number) {
        of_shard.clear();
        for (const auto& place : places) {
            if (place.first % kShards == number) of_shard.push_back(place);
        }
        if (of_shard.empty()) continue;
        Shard& shard = shards_[number];
        const std::lock_guard lock(shard.mutex);
        for (const auto& [hash, at] : of_shard) shard.fetchBucket(hash);
        for (const auto& [hash, at] : of_shard) shard.fetchItem(hash);
        for (const auto& [hash, at] : of_shard) {
            Item* const item = shard.find(*keys[at], hash);
            if (item == nullptr) continue;
            item->was_found = true;
            entries[at] = item->entry;
        }
    }
}

void EntryCache::put(const std::string& key, EntryPtr entry, uint64_t mark) {
    const size_t hash = hashOf(key);
    Shard& shard = shardOf(hash);
    const std::lock_guard lock(shard.mutex);
    const Item* const item = shard.find(key, hash);
    if (shard.dropped_at > mark || (item != nullptr && item->put_at > mark)) {
        if (item != nullptr) dropLocked(shard, key, hash);
        return;
    }
    putLocked(shard, key, hash, std::move(entry));
}

void EntryCache::putFound(const std::string& key, EntryPtr entry, uint64_t mark) {
    const size_t hash = hashOf(key);
    Shard& shard = shardOf(hash);
    const std::lock_guard lock(shard.mutex);
    if (shard.dropped_at > mark) return;
    const Item* const item = shard.find(key, hash);
    if (item != nullptr && item->put_at > mark) return;
    putLocked(shard, key, hash, std::move(entry));
}

void EntryCache::putLocked(Shard& shard, const std::string& key, size_t hash, EntryPtr entry) {
    if (shard.capacity == 0) return;
    Item* item = shard.find(key, hash);
    if (item == nullptr) item = &shard.add(key, hash);
    item->entry = std::move(entry);
    item->put_at = ++clock_;
}

void EntryCache::drop(const std::string& key) {
    const size_t hash = hashOf(key);
    Shard& shard = shardOf(hash);
    const std::lock_guard lock(shard.mutex);
    dropLocked(shard, key, hash);
}

void EntryCache::dropLocked(Shard& shard, const std::string& key, size_t hash) {
    shard.dropped_at = ++clock_;
    shard.remove(key, hash);
}

void EntryCache::clear() {
    for (Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        shard.dropped_at = ++clock_;
        shard.clear();
    }
}

size_t EntryCache::size() const {
    size_t all = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        all += shard.size();
    }
    return all;
}

}  // namespace mooncake::store
