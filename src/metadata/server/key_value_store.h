// SPDX-License-Identifier: Apache-2.0
// What the metadata server holds: keys and values in memory, with limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

namespace mooncake {

// Every function may be called from any thread.
class KeyValueStore {
 public:
    struct Limits {
        size_t key_bytes = 1024;
        size_t value_bytes = size_t{8} << 20;
        size_t keys = 65536;
        size_t total_bytes = size_t{256} << 20;  // of keys, values and what an entry takes besides
    };
    // Shared with those who are reading it; never changed.
    using Value = std::shared_ptr<const std::string>;
    // kFull: one key too many; kNoSpace: too many bytes.
    enum class SetResult { kStored, kBadKey, kValueTooLarge, kFull, kNoSpace, kConditionFails };
    enum class RemoveResult { kRemoved, kMissing, kConditionFails };
    // Whether a change may be made where the entry has this tag; null where there is none. Called
    // with the store locked, so that nothing changes between the question and the change.
    using Condition = std::function<bool(const std::string* tag)>;

    explicit KeyValueStore(const Limits& limits);

    const Limits& limits() const { return limits_; }
    size_t size() const;
    size_t bytes() const;  // as Limits::total_bytes counts them

    // *tag receives what stands for this very state of the entry: it changes with each set, and is
    // never given again, by another store neither.
    // Null where there is no such key.
    Value get(const std::string& key, std::string* tag = nullptr) const;
    // Replaces what is there, also an entry of a process that is gone: its successor has the same
    // name. kBadKey for an empty key or one beyond the limit. A replacement that is not larger
    // succeeds in a full store. *tag receives the entry's new one, *changed whether there was
    // another value or none before.
    SetResult set(const std::string& key, std::string value, const Condition& condition = nullptr,
                  std::string* tag = nullptr, bool* changed = nullptr);
    RemoveResult remove(const std::string& key, const Condition& condition = nullptr);

    struct Listed {
        std::string key;
        size_t bytes = 0;  // of the value
    };
    // The keys that begin with `prefix` and stand behind `after`, in their order, `limit` at most.
    std::vector<Listed> list(const std::string& prefix, const std::string& after,
                             size_t limit) const;

 private:
    struct Entry {
        Value value;
        uint64_t version = 0;
    };

    std::string tagOf(const Entry& entry) const;
    bool holds(const Condition& condition, const std::string& key) const;

    const Limits limits_;
    const std::string tag_prefix_;
    mutable std::shared_mutex mutex_;
    std::map<std::string, Entry> values_;
    uint64_t versions_ = 0;
    size_t bytes_ = 0;
};

}  // namespace mooncake
