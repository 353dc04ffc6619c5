// SPDX-License-Identifier: Apache-2.0
// What the metadata server holds: keys and values in memory, with limits.
#pragma once

#include <cstddef>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>

namespace mooncake {

// Every function may be called from any thread.
class KeyValueStore {
 public:
    struct Limits {
        size_t key_bytes = 1024;
        size_t value_bytes = size_t{8} << 20;
        size_t keys = 65536;
    };
    enum class SetResult { kStored, kBadKey, kValueTooLarge, kFull };

    explicit KeyValueStore(const Limits& limits) : limits_(limits) {}

    const Limits& limits() const { return limits_; }
    size_t size() const;

    std::optional<std::string> get(const std::string& key) const;
    // Replaces what is there, also an entry of a process that is gone: its successor has the same
    // name. kBadKey for an empty key or one beyond the limit. A replacement succeeds in a full
    // store.
    SetResult set(const std::string& key, std::string value);
    // Whether there was such a key.
    bool remove(const std::string& key);

 private:
    const Limits limits_;
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, std::string> values_;
};

}  // namespace mooncake
