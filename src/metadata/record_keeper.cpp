// SPDX-License-Identifier: Apache-2.0
#include "record_keeper.h"

#include <glog/logging.h>

#include <utility>

namespace mooncake {

namespace {

constexpr uint64_t kRoundsALook = 3;

}  // namespace

using Outcome = MetadataStorage::Outcome;

RecordKeeper::RecordKeeper(std::shared_ptr<MetadataStorage> storage,
                           std::chrono::milliseconds interval, std::mutex* order,
                           GivesWay gives_way)
    : storage_(std::move(storage)),
      interval_(interval),
      order_(order),
      gives_way_(std::move(gives_way)) {}

RecordKeeper::~RecordKeeper() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    stopping_.notify_all();
    if (thread_.joinable()) thread_.join();
}

RecordKeeper::Result RecordKeeper::set(const std::string& key, const std::string& value,
                                       bool insist) {
    {
        // Before the attempt: an answer that gets lost may be a success.
        std::lock_guard lock(mutex_);
        records_[key].version = ++versions_;
    }
    Result result = storage_->set(key, value);
    std::lock_guard lock(mutex_);
    if (result.ok()) {
        settle(key, value);
        return result;
    }
    Record& record = records_[key];
    record.version = ++versions_;
    if (record.confirmed) {
        record.dirty = true;
        if (insist) record.value = value;
    }
    return result;
}

void RecordKeeper::confirm(const std::string& key, const std::string& value) {
    std::lock_guard lock(mutex_);
    settle(key, value);
}

// With mutex_ held.
void RecordKeeper::settle(const std::string& key, const std::string& value) {
    records_[key] = {value, true, false, false, false, ++versions_};
    if (!thread_.joinable() && interval_.count() > 0 && storage_->outlivesProcess()) {
        thread_ = std::thread([this] { watch(); });
    }
}

RecordKeeper::Result RecordKeeper::remove(const std::string& key) {
    Result result = storage_->remove(key);
    std::lock_guard lock(mutex_);
    const auto record = records_.find(key);
    if (record == records_.end()) return result;
    if (result.ok() || result.outcome == Outcome::kNotFound) {
        records_.erase(record);
    } else {
        record->second.removing = true;
        record->second.version = ++versions_;
    }
    return result;
}

std::vector<std::string> RecordKeeper::keys() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> keys;
    for (const auto& [key, record] : records_) keys.push_back(key);
    return keys;
}

void RecordKeeper::watch() {
    bool reachable = true;
    for (uint64_t round = 1;; ++round) {
        std::map<std::string, Record> seen;
        {
            std::unique_lock lock(mutex_);
            if (stopping_.wait_for(lock, interval_, [this] { return stop_; })) return;
            seen = records_;
        }
        const bool all = !reachable || round % kRoundsALook == 0;
        bool answered = true;
        for (const auto& [key, record] : seen) {
            if (!all && !record.dirty && !record.removing) continue;
            // Where one is not answered, the others would cost their time limit for nothing.
            answered = check(key, record);
            if (!answered) break;
        }
        if (answered && !reachable) LOG(INFO) << "The metadata store answers again";
        reachable = answered;
    }
}

// The entry, if it is as it was seen; with mutex_ held.
RecordKeeper::Record* RecordKeeper::unchanged(const std::string& key, const Record& seen) {
    const auto found = records_.find(key);
    if (stop_ || found == records_.end() || found->second.version != seen.version) return nullptr;
    return &found->second;
}

// False where the store gives no answer.
bool RecordKeeper::check(const std::string& key, const Record& seen) {
    if (seen.removing) {
        std::lock_guard order(*order_);
        {
            std::lock_guard lock(mutex_);
            if (unchanged(key, seen) == nullptr) return true;
        }
        return remove(key).outcome != Outcome::kFailed;
    }
    if (!seen.confirmed) return true;
    if (seen.dirty) {
        publishAgain(key, seen, "was not published when it was to be");
        return true;
    }
    std::string found;
    const Result result = storage_->get(key, &found);
    if (result.outcome == Outcome::kNotFound) {
        publishAgain(key, seen, "is no more in the metadata store");
        return true;
    }
    if (!result.ok()) {
        LOG_EVERY_T(WARNING, 60) << "What this node has published cannot be looked after: "
                                 << result.error;
        return result.outcome != Outcome::kFailed;
    }
    if (found != seen.value && gives_way_(found, seen.value)) {
        publishAgain(key, seen, "is in the metadata store with an older value");
        return true;
    }
    const bool foreign = found != seen.value;
    std::lock_guard lock(mutex_);
    Record* const record = unchanged(key, seen);
    if (record == nullptr) return true;
    if (foreign && !record->foreign) {
        LOG(ERROR) << "Another process has published under '" << key
                   << "' since; each node needs a name of its own";
    }
    record->foreign = foreign;
    return true;
}

void RecordKeeper::publishAgain(const std::string& key, const Record& seen, const char* why) {
    std::lock_guard order(*order_);
    {
        std::lock_guard lock(mutex_);
        if (unchanged(key, seen) == nullptr) return;
    }
    const Result result = set(key, seen.value, true);
    if (result.ok()) {
        LOG(WARNING) << "The entry '" << key << "' " << why << "; it is published again";
    } else {
        LOG_EVERY_T(WARNING, 60) << "The entry '" << key << "' " << why
                                 << ", and cannot be published again yet: " << result.error;
    }
}

}  // namespace mooncake
