// SPDX-License-Identifier: Apache-2.0
#include "key_value_store.h"

#include <mutex>
#include <utility>

namespace mooncake {

size_t KeyValueStore::size() const {
    std::shared_lock lock(mutex_);
    return values_.size();
}

std::optional<std::string> KeyValueStore::get(const std::string& key) const {
    std::shared_lock lock(mutex_);
    auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    return found->second;
}

KeyValueStore::SetResult KeyValueStore::set(const std::string& key, std::string value) {
    if (key.empty() || key.size() > limits_.key_bytes) return SetResult::kBadKey;
    if (value.size() > limits_.value_bytes) return SetResult::kValueTooLarge;
    std::unique_lock lock(mutex_);
    auto found = values_.find(key);
    if (found != values_.end()) {
        found->second.swap(value);
        return SetResult::kStored;
    }
    if (values_.size() >= limits_.keys) return SetResult::kFull;
    values_.emplace(key, std::move(value));
    return SetResult::kStored;
}

bool KeyValueStore::remove(const std::string& key) {
    std::unique_lock lock(mutex_);
    return values_.erase(key) != 0;
}

}  // namespace mooncake
