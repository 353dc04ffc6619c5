// SPDX-License-Identifier: Apache-2.0
// A metadata store in memory, which can be told to fail or to block.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "metadata_storage.h"

namespace mooncake::test {

class MemoryStorage : public MetadataStorage {
 public:
    // Called before each operation, without a lock; what is not kOk is the operation's result.
    std::function<Result(const char* operation, const std::string& key)> hook =
        [](const char*, const std::string&) { return Result{}; };

    size_t limit = SIZE_MAX;                 // of a value, in exchange
    std::atomic<bool> loses_answers{false};  // exchange does what it is to do, and says it failed

    Result get(const std::string& key, std::string* value) override {
        if (Result result = hook("get", key); !result.ok()) return result;
        std::lock_guard lock(mutex_);
        auto found = values_.find(key);
        if (found == values_.end()) return {Outcome::kNotFound, "no " + key};
        *value = found->second;
        return {};
    }

    Result set(const std::string& key, const std::string& value) override {
        if (Result result = hook("set", key); !result.ok()) return result;
        std::lock_guard lock(mutex_);
        values_[key] = value;
        history_.push_back(value);
        return {};
    }

    Result remove(const std::string& key) override {
        if (Result result = hook("remove", key); !result.ok()) return result;
        std::lock_guard lock(mutex_);
        return values_.erase(key) != 0 ? Result{} : Result{Outcome::kNotFound, "no " + key};
    }

    // The hook sees it as what it would do.
    Result exchange(const std::string& key, const Entry& expected, const Entry& desired,
                    Entry* found) override {
        if (Result result = hook(desired ? "set" : "remove", key); !result.ok()) return result;
        std::lock_guard lock(mutex_);
        const auto there = values_.find(key);
        const Entry now = there == values_.end() ? Entry() : Entry(there->second);
        if (now == desired) return {};
        if (now != expected) {
            *found = now;
            return conflict(key);
        }
        if (desired && desired->size() > limit) return {Outcome::kRefused, "too large"};
        if (desired) {
            values_[key] = *desired;
            history_.push_back(*desired);
        } else {
            values_.erase(key);
        }
        return loses_answers ? Result{Outcome::kFailed, "no answer"} : Result{};
    }

    std::map<std::string, std::string> values() const {
        std::lock_guard lock(mutex_);
        return values_;
    }
    // Every value that was set, in order.
    std::vector<std::string> history() const {
        std::lock_guard lock(mutex_);
        return history_;
    }

 private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> values_;
    std::vector<std::string> history_;
};

}  // namespace mooncake::test
