// SPDX-License-Identifier: Apache-2.0
#include "key_value_store.h"

#include <mutex>
#include <random>
#include <utility>

namespace mooncake {

namespace {

// Sets the tags of this store apart from those that its predecessor at the same address gave.
std::string newTagPrefix() {
    std::random_device random;
    return std::to_string(random()) + "-" + std::to_string(random()) + "-";
}

// What an entry takes beside its key and its value, roughly.
constexpr size_t kEntryBytes = 200;

template <typename Entry>
size_t sizeOf(const Entry& entry) {
    return entry.first.size() + entry.second.value->size() + kEntryBytes;
}

}  // namespace

KeyValueStore::KeyValueStore(const Limits& limits) : limits_(limits), tag_prefix_(newTagPrefix()) {}

std::string KeyValueStore::tagOf(const Entry& entry) const {
    return tag_prefix_ + std::to_string(entry.version);
}

// With mutex_ held.
bool KeyValueStore::holds(const Condition& condition, const std::string& key) const {
    if (!condition) return true;
    const auto found = values_.find(key);
    if (found == values_.end()) return condition(nullptr);
    const std::string tag = tagOf(found->second);
    return condition(&tag);
}

size_t KeyValueStore::size() const {
    std::shared_lock lock(mutex_);
    return values_.size();
}

size_t KeyValueStore::bytes() const {
    std::shared_lock lock(mutex_);
    return bytes_;
}

KeyValueStore::Value KeyValueStore::get(const std::string& key, std::string* tag) const {
    std::shared_lock lock(mutex_);
    auto found = values_.find(key);
    if (found == values_.end()) return nullptr;
    if (tag != nullptr) *tag = tagOf(found->second);
    return found->second.value;
}

KeyValueStore::SetResult KeyValueStore::set(const std::string& key, std::string value,
                                            const Condition& condition, std::string* tag,
                                            bool* changed) {
    if (key.empty() || key.size() > limits_.key_bytes) return SetResult::kBadKey;
    if (value.size() > limits_.value_bytes) return SetResult::kValueTooLarge;
    value.shrink_to_fit();
    auto made = std::make_shared<const std::string>(std::move(value));
    std::unique_lock lock(mutex_);
    if (!holds(condition, key)) return SetResult::kConditionFails;
    auto found = values_.find(key);
    const size_t before = found == values_.end() ? 0 : sizeOf(*found);
    const size_t after = key.size() + made->size() + kEntryBytes;
    if (after > before && after - before > limits_.total_bytes - bytes_) {
        return SetResult::kNoSpace;
    }
    bool differs = true;
    if (found == values_.end()) {
        if (values_.size() >= limits_.keys) return SetResult::kFull;
        found = values_.emplace(key, Entry()).first;
    } else {
        differs = *found->second.value != *made;
    }
    bytes_ = bytes_ - before + after;
    found->second.value.swap(made);
    found->second.version = ++versions_;
    if (tag != nullptr) *tag = tagOf(found->second);
    if (changed != nullptr) *changed = differs;
    return SetResult::kStored;
}

KeyValueStore::RemoveResult KeyValueStore::remove(const std::string& key,
                                                  const Condition& condition) {
    std::unique_lock lock(mutex_);
    if (!holds(condition, key)) return RemoveResult::kConditionFails;
    const auto found = values_.find(key);
    if (found == values_.end()) return RemoveResult::kMissing;
    bytes_ -= sizeOf(*found);
    values_.erase(found);
    return RemoveResult::kRemoved;
}

std::vector<KeyValueStore::Listed> KeyValueStore::list(const std::string& prefix,
                                                       const std::string& after,
                                                       size_t limit) const {
    std::vector<Listed> listed;
    std::shared_lock lock(mutex_);
    auto one = after < prefix ? values_.lower_bound(prefix) : values_.upper_bound(after);
    for (; one != values_.end() && one->first.starts_with(prefix) && listed.size() < limit; ++one) {
        listed.push_back({one->first, one->second.value->size()});
    }
    return listed;
}

}  // namespace mooncake
