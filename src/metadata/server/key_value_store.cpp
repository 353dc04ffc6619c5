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

std::optional<std::string> KeyValueStore::get(const std::string& key, std::string* tag) const {
    std::shared_lock lock(mutex_);
    auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    if (tag != nullptr) *tag = tagOf(found->second);
    return found->second.value;
}

KeyValueStore::SetResult KeyValueStore::set(const std::string& key, std::string value,
                                            const Condition& condition, std::string* tag) {
    if (key.empty() || key.size() > limits_.key_bytes) return SetResult::kBadKey;
    if (value.size() > limits_.value_bytes) return SetResult::kValueTooLarge;
    std::unique_lock lock(mutex_);
    if (!holds(condition, key)) return SetResult::kConditionFails;
    auto found = values_.find(key);
    if (found == values_.end()) {
        if (values_.size() >= limits_.keys) return SetResult::kFull;
        found = values_.emplace(key, Entry()).first;
    }
    found->second.value.swap(value);
    found->second.version = ++versions_;
    if (tag != nullptr) *tag = tagOf(found->second);
    return SetResult::kStored;
}

KeyValueStore::RemoveResult KeyValueStore::remove(const std::string& key,
                                                  const Condition& condition) {
    std::unique_lock lock(mutex_);
    if (!holds(condition, key)) return RemoveResult::kConditionFails;
    return values_.erase(key) != 0 ? RemoveResult::kRemoved : RemoveResult::kMissing;
}

}  // namespace mooncake
