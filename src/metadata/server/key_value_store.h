// SPDX-License-Identifier: Apache-2.0
// What the metadata server holds: keys and values in memory, with limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
    enum class SetResult { kStored, kBadKey, kValueTooLarge, kFull, kConditionFails };
    enum class RemoveResult { kRemoved, kMissing, kConditionFails };
    // Whether a change may be made where the entry has this tag; null where there is none. Called
    // with the store locked, so that nothing changes between the question and the change.
    using Condition = std::function<bool(const std::string* tag)>;

    explicit KeyValueStore(const Limits& limits);

    const Limits& limits() const { return limits_; }
    size_t size() const;

    // *tag receives what stands for this very state of the entry: it changes with each set, and is
    // never given again, by another store neither.
    std::optional<std::string> get(const std::string& key, std::string* tag = nullptr) const;
    // Replaces what is there, also an entry of a process that is gone: its successor has the same
    // name. kBadKey for an empty key or one beyond the limit. A replacement succeeds in a full
    // store. *tag receives the entry's new one.
    SetResult set(const std::string& key, std::string value, const Condition& condition = nullptr,
                  std::string* tag = nullptr);
    RemoveResult remove(const std::string& key, const Condition& condition = nullptr);

 private:
    struct Entry {
        std::string value;
        uint64_t version = 0;
    };

    std::string tagOf(const Entry& entry) const;
    bool holds(const Condition& condition, const std::string& key) const;

    const Limits limits_;
    const std::string tag_prefix_;
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, Entry> values_;
    uint64_t versions_ = 0;
};

}  // namespace mooncake
