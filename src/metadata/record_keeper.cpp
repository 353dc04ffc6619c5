// SPDX-License-Identifier: Apache-2.0
#include "record_keeper.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "incarnation.h"
#include "metadata_keys.h"
#include "record_owner.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake {

namespace {

constexpr uint64_t kRoundsALook = 3;
// Looks at the entry of another process, with a question in it, until that one is silent. Looks
// that got an answer: while the store is away nobody can answer.
constexpr int kSilentLooks = 6;
// The same for a start, which waits for it: how often it looks in one interval.
constexpr int kLooksAnInterval = 10;

uint64_t roundsALook(const std::string& key) {
    return isAddressKey(key) ? 1 : kRoundsALook;
}

}  // namespace

using Outcome = MetadataStorage::Outcome;

RecordKeeper::RecordKeeper(std::shared_ptr<MetadataStorage> storage,
                           std::chrono::milliseconds interval, std::mutex* order,
                           std::string incarnation)
    : storage_(std::move(storage)),
      interval_(interval),
      order_(order),
      incarnation_(std::move(incarnation)) {}

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
    Entry expected;
    bool first = false;
    {
        std::lock_guard lock(mutex_);
        if (Result watching = startWatching(); !watching.ok()) {
            ++publications_[key].failed;
            return watching;
        }
        Record& record = records_[key];
        // Before the attempt: an answer that gets lost may be a success.
        record.version = ++versions_;
        if (record.confirmed) expected = record.value;
        first = had_.count(key) == 0;
    }
    Result result = write(key, expected, value, first);
    settle(key, value, insist, result);
    return result;
}

// With mutex_ held. What is published stays only as long as somebody looks after it.
RecordKeeper::Result RecordKeeper::startWatching() {
    if (thread_.joinable() || interval_.count() == 0 || !storage_->outlivesProcess()) return {};
    auto started = nvmeof_generic::startThread("te-records", [this] { watch(); });
    if (!started.ok()) return {Outcome::kFailed, started.error().message};
    thread_ = started.take();
    return {};
}

void RecordKeeper::settle(const std::string& key, const std::string& value, bool insist,
                          const Result& result) {
    std::lock_guard lock(mutex_);
    Record& record = records_[key];
    record.version = ++versions_;
    auto& counted = publications_[key];
    ++(result.ok() ? counted.succeeded : counted.failed);
    if (result.ok()) {
        counted.last = std::chrono::steady_clock::now();
        record = Record();
        record.value = value;
        record.confirmed = true;
        record.version = versions_;
        had_.insert(key);
    } else if (record.confirmed) {
        record.dirty = result.outcome != Outcome::kConflict;
        if (insist) record.value = value;
    } else if (result.outcome == Outcome::kConflict) {
        records_.erase(key);
    }
}

RecordKeeper::Result RecordKeeper::remove(const std::string& key) {
    Entry expected;
    {
        std::lock_guard lock(mutex_);
        const auto record = records_.find(key);
        if (record == records_.end()) return {};
        expected = record->second.value;
    }
    Result result = write(key, expected, std::nullopt, false);
    std::lock_guard lock(mutex_);
    const auto record = records_.find(key);
    if (record == records_.end()) return result;
    if (result.ok()) {
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

TransferMetadata::Publications RecordKeeper::publications(const std::string& key) const {
    std::lock_guard lock(mutex_);
    TransferMetadata::Publications all;
    if (const auto counted = publications_.find(key); counted != publications_.end()) {
        all = counted->second;
    }
    const auto found = records_.find(key);
    all.current = found != records_.end() && found->second.confirmed && !found->second.dirty &&
                  !found->second.removing && !found->second.rival.present;
    return all;
}

void RecordKeeper::noteRefused(const std::string& key) {
    std::lock_guard lock(mutex_);
    ++publications_[key].failed;
}

bool RecordKeeper::isForeign(const std::string& found) const {
    const RecordOwner owner = ownerOf(found);
    return !owner.garbage && owner.incarnation != incarnation_;
}

// Makes `desired` of whatever is there, if it is this process's own or nobody's, or with `may_take`
// where it may be taken over.
RecordKeeper::Result RecordKeeper::write(const std::string& key, Entry expected,
                                         const Entry& desired, bool may_take) {
    constexpr int kTries = 8;
    for (int tries = 0; tries < kTries; ++tries) {
        Entry found;
        Result result = storage_->exchange(key, expected, desired, &found);
        if (result.outcome != Outcome::kConflict) return result;
        if (!found || !isForeign(*found)) {
            expected = std::move(found);
            continue;
        }
        if (!desired) {
            LOG(INFO) << "The entry '" << key << "' stays: it is another process's by now";
            return {};
        }
        if (!may_take) {
            return {Outcome::kConflict, "another process has published under '" + key + "' (" +
                                            ownerOf(*found).text() +
                                            "); each node needs a name of its own"};
        }
        result = take(key, *found, &expected);
        if (!result.ok()) return result;
    }
    return {Outcome::kFailed, "the entry '" + key + "' changes all the time"};
}

// Whether the entry of another process may be replaced; *expected receives what it is by then.
RecordKeeper::Result RecordKeeper::take(const std::string& key, const std::string& found,
                                        Entry* expected) {
    const RecordOwner owner = ownerOf(found);
    const std::string what =
        "The entry '" + key + "' was left by another process (" + owner.text() + "), which ";
    *expected = found;
    if (hasEnded(owner.incarnation) || (!silent_.empty() && owner.incarnation == silent_)) {
        LOG(INFO) << what << "has ended; it is replaced";
        return {};
    }
    if (from_living_ || owner.incarnation.empty()) {
        LOG(WARNING) << what
                     << "has not removed it; it is taken over. If that process still runs, others "
                        "find it no more: each node needs a name of its own";
        return {};
    }
    std::string asked = owner.challenge.empty() ? withChallenge(found, incarnation_) : found;
    Entry now;
    Result result = storage_->exchange(key, found, asked, &now);
    // It has changed just now: look again.
    if (result.outcome == Outcome::kConflict) return {};
    if (!result.ok()) return result;
    const auto intervals = static_cast<int>(roundsALook(key)) + 2;
    LOG(INFO) << what << "has not removed it; waiting up to "
              << std::chrono::ceil<std::chrono::seconds>(interval_ * intervals).count()
              << " s for a sign that it still runs";
    for (int looks = 0; looks < intervals * kLooksAnInterval; ++looks) {
        std::this_thread::sleep_for(std::chrono::microseconds(interval_) / kLooksAnInterval);
        std::string text;
        result = storage_->get(key, &text);
        if (result.outcome == Outcome::kNotFound) {
            expected->reset();
            return {};
        }
        if (!result.ok()) return result;
        if (text == asked) continue;
        const RecordOwner current = ownerOf(text);
        if (current.garbage) {
            *expected = text;
            return {};
        }
        if (current.incarnation != owner.incarnation || current.challenge.empty()) {
            return {Outcome::kConflict, "a process that runs has published under '" + key + "' (" +
                                            current.text() + "); end it, or choose another name"};
        }
        asked = text;  // somebody else asks the same
    }
    LOG(WARNING) << what << "does not answer; it is taken for dead, and its entry is replaced";
    silent_ = owner.incarnation;
    *expected = asked;
    return {};
}

void RecordKeeper::watch() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            if (stopping_.wait_for(lock, interval_, [this] { return stop_; })) return;
        }
        lookAfter();
    }
}

void RecordKeeper::lookAfter() {
    ++round_;
    std::map<std::string, Record> seen;
    {
        std::lock_guard lock(mutex_);
        seen = records_;
    }
    const bool all = !reachable_;
    reachable_ = true;
    for (const auto& [key, record] : seen) {
        if (!all && !record.dirty && !record.removing && round_ % roundsALook(key) != 0) continue;
        // Where one is not answered, the others would cost their time limit for nothing.
        reachable_ = check(key, record);
        if (!reachable_) return;
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
        publishAgain(key, seen, seen.value, "was not published when it was to be");
        return true;
    }
    std::string found;
    const Result result = storage_->get(key, &found);
    if (result.outcome == Outcome::kNotFound) {
        return publishAgain(key, seen, std::nullopt, "is no more in the metadata store");
    }
    if (!result.ok()) {
        if (result.outcome == Outcome::kRefused) {
            LOG_EVERY_T(WARNING, 60)
                << "What this node has published cannot be looked after: " << result.error;
        }
        return result.outcome != Outcome::kFailed;
    }
    if (found == seen.value) return noteRival(key, seen, Rival());
    if (isForeign(found)) return checkForeign(key, seen, found);
    if (sayTheSame(found, seen.value)) return noteRival(key, seen, Rival());
    const RecordOwner owner = ownerOf(found);
    return publishAgain(key, seen, found,
                        owner.challenge.empty()
                            ? "is in the metadata store with another value"
                            : "holds the question of a process that starts under the same name "
                              "whether this one lives");
}

// Asks the other process whether it lives; where it has ended, or does not answer, the entry is
// this process's again: the store has come back with a copy of earlier days, or the other one took
// the name over and died.
bool RecordKeeper::checkForeign(const std::string& key, const Record& seen,
                                const std::string& found) {
    const RecordOwner owner = ownerOf(found);
    if (hasEnded(owner.incarnation)) {
        return publishAgain(key, seen, found, "was that of another process, which has ended");
    }
    Rival rival = seen.rival;
    if (!rival.present || rival.incarnation != owner.incarnation) {
        rival = {};
        rival.present = true;
        rival.incarnation = owner.incarnation;
        // Who has none does not know the question.
        rival.answered = owner.incarnation.empty();
        if (const auto left_out = rivals_.admit(key)) {
            LOG(ERROR) << "Another process has published under '" << key << "' (" << owner.text()
                       << "): others find that one now, and this one leaves the entry alone; each "
                          "node needs a name of its own"
                       << leftOutText(*left_out);
        }
    }
    if (!rival.answered) {
        if (!owner.challenge.empty()) {
            if (found != rival.asked) rival.looks = 0;
            rival.asked = found;
            if (++rival.looks > kSilentLooks) {
                return publishAgain(key, seen, found,
                                    "was that of another process, which does not answer");
            }
        } else if (!rival.asked.empty()) {
            rival.answered = true;
        } else {
            rival.asked = withChallenge(found, incarnation_);
            Entry now;
            const Result result = storage_->exchange(key, found, rival.asked, &now);
            // It is asked in the next round, then.
            if (!result.ok()) rival.asked.clear();
            if (result.outcome == Outcome::kFailed) return false;
        }
    }
    return noteRival(key, seen, rival);
}

bool RecordKeeper::noteRival(const std::string& key, const Record& seen, const Rival& rival) {
    std::lock_guard lock(mutex_);
    if (Record* const record = unchanged(key, seen)) record->rival = rival;
    return true;
}

bool RecordKeeper::publishAgain(const std::string& key, const Record& seen, const Entry& expected,
                                const char* why) {
    std::lock_guard order(*order_);
    {
        std::lock_guard lock(mutex_);
        if (unchanged(key, seen) == nullptr) return true;
    }
    const Result result = write(key, expected, seen.value, false);
    settle(key, seen.value, true, result);
    if (result.ok()) {
        LOG(WARNING) << "The entry '" << key << "' " << why << "; it is published again";
    } else if (result.outcome == Outcome::kRefused) {
        LOG_EVERY_T(WARNING, 60) << "The entry '" << key << "' " << why
                                 << ", and cannot be published again: " << result.error;
    }
    return result.outcome != Outcome::kFailed;
}

}  // namespace mooncake
