// SPDX-License-Identifier: Apache-2.0
#include "entry_cache.h"

namespace mooncake::store {

EntryCache::EntryCache(size_t capacity) : of_shard_((capacity + kShards - 1) / kShards) {}

EntryCache::Shard& EntryCache::shardOf(const std::string& key) {
    return shards_[std::hash<std::string>()(key) % kShards];
}

EntryPtr EntryCache::find(const std::string& key) {
    Shard& shard = shardOf(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.places.find(key);
    if (found == shard.places.end()) return nullptr;
    shard.items.splice(shard.items.begin(), shard.items, found->second);
    return found->second->entry;
}

void EntryCache::put(const std::string& key, EntryPtr entry) {
    Shard& shard = shardOf(key);
    const std::lock_guard lock(shard.mutex);
    putLocked(shard, key, std::move(entry));
}

void EntryCache::putFound(const std::string& key, EntryPtr entry, uint64_t mark) {
    Shard& shard = shardOf(key);
    const std::lock_guard lock(shard.mutex);
    if (shard.dropped_at > mark) return;
    const auto found = shard.places.find(key);
    if (found != shard.places.end() && found->second->put_at > mark) return;
    putLocked(shard, key, std::move(entry));
}

void EntryCache::putLocked(Shard& shard, const std::string& key, EntryPtr entry) {
    if (of_shard_ == 0) return;
    const uint64_t now = ++clock_;
    if (const auto found = shard.places.find(key); found != shard.places.end()) {
        found->second->entry = std::move(entry);
        found->second->put_at = now;
        shard.items.splice(shard.items.begin(), shard.items, found->second);
        return;
    }
    if (shard.items.size() >= of_shard_) {
        shard.places.erase(shard.items.back().key);
        shard.items.pop_back();
    }
    shard.items.push_front({key, std::move(entry), now});
    shard.places.emplace(shard.items.front().key, shard.items.begin());
}

void EntryCache::drop(const std::string& key) {
    Shard& shard = shardOf(key);
    const std::lock_guard lock(shard.mutex);
    shard.dropped_at = ++clock_;
    const auto found = shard.places.find(key);
    if (found == shard.places.end()) return;
    const auto item = found->second;
    shard.places.erase(found);
    shard.items.erase(item);
}

void EntryCache::clear() {
    for (Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        shard.dropped_at = ++clock_;
        shard.places.clear();
        shard.items.clear();
    }
}

size_t EntryCache::size() const {
    size_t all = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        all += shard.items.size();
    }
    return all;
}

}  // namespace mooncake::store
