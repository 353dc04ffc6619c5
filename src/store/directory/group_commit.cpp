// SPDX-License-Identifier: Apache-2.0
#include "group_commit.h"

#include <numeric>
#include <string_view>
#include <unordered_set>

namespace mooncake::store {

Result<ChangeOutcomes> GroupCommit::commit(const std::vector<Change>& changes, Deadline deadline) {
    if (changes.empty()) return ChangeOutcomes();
    const auto call = std::make_shared<Call>();
    call->changes = changes;
    call->outcomes.resize(changes.size());
    call->waiting.resize(changes.size());
    std::iota(call->waiting.begin(), call->waiting.end(), size_t{0});

    std::unique_lock lock(mutex_);
    queue_.push_back(call);
    while (!call->done()) {
        if (std::chrono::steady_clock::now() >= deadline) {
            std::erase(queue_, call);
            wakeNext();
            return failed(Failure::kTimeout, "the commit of " + std::to_string(changes.size()) +
                                                 " entries was not done in time");
        }
        if (led_) {
            call->wake.wait_until(lock, deadline);
        } else {
            lead(lock, deadline);
        }
    }
    if (call->error) return tl::unexpected<Error>(*call->error);
    return std::move(call->outcomes);
}

// Two changes of one key are never in one group: the second one has to see what became of the
// first.
std::vector<GroupCommit::Member> GroupCommit::gather() {
    std::vector<Member> group;
    std::unordered_set<std::string_view> keys;
    for (const auto& call : queue_) {
        std::deque<size_t> later;
        for (const size_t index : call->waiting) {
            if (group.size() == limit_ || !keys.insert(call->changes[index].key).second) {
                later.push_back(index);
            } else {
                group.push_back({call, index});
                ++call->under_way;
            }
        }
        if (later.size() != call->waiting.size()) ++count_.calls;
        call->waiting = std::move(later);
        if (group.size() == limit_) break;
    }
    return group;
}

void GroupCommit::lead(std::unique_lock<std::mutex>& lock, Deadline deadline) {
    led_ = true;
    ++count_.groups;
    const std::vector<Member> group = gather();
    std::vector<const Change*> changes;
    changes.reserve(group.size());
    for (const Member& member : group) changes.push_back(&member.call->changes[member.index]);
    lock.unlock();
    const auto result = run_(changes, deadline);
    lock.lock();
    settle(group, result);
    led_ = false;
    wakeNext();
}

void GroupCommit::settle(const std::vector<Member>& group, const Result<ChangeOutcomes>& result) {
    for (size_t i = 0; i < group.size(); ++i) {
        Call& call = *group[i].call;
        --call.under_way;
        if (result) {
            call.outcomes[group[i].index] = (*result)[i];
        } else if (result.error().failure == Failure::kTimeout) {
            // That was the leader's limit of time; to do it again does no harm.
            call.waiting.push_back(group[i].index);
        } else {
            call.error = result.error();
        }
    }
    std::erase_if(queue_, [](const auto& call) {
        if (!call->done()) return false;
        call->wake.notify_one();
        return true;
    });
}

void GroupCommit::wakeNext() {
    if (!led_ && !queue_.empty()) queue_.front()->wake.notify_one();
}

GroupCommit::Count GroupCommit::count() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

size_t GroupCommit::waiting() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
}

}  // namespace mooncake::store
