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
            leave(call);
            if (call->late) return tl::unexpected<Error>(*call->late);
            return failed(Failure::kTimeout, "the commit of " + std::to_string(changes.size()) +
                                                 " entries was not done in time");
        }
        if (led_) {
            call->wake.wait_until(lock, deadline);
        } else if (auto led = withoutThrowing([&] { return lead(lock, deadline); }); !led) {
            leave(call);
            return tl::unexpected<Error>(std::move(led.error()));
        }
    }
    if (call->error) return tl::unexpected<Error>(*call->error);
    return std::move(call->outcomes);
}

void GroupCommit::leave(const std::shared_ptr<Call>& call) {
    std::erase(queue_, call);
    wakeNext();
}

// Two changes of one key are never in one group: the second one has to see what became of the
// first.
GroupCommit::Group GroupCommit::gather() const {
    Group group;
    std::unordered_set<std::string_view> keys;
    for (const auto& call : queue_) {
        std::deque<size_t> later;
        for (const size_t index : call->waiting) {
            const Change& change = call->changes[index];
            if (group.members.size() == limit_ || !keys.insert(change.key).second) {
                later.push_back(index);
            } else {
                group.members.push_back({call, index});
                group.changes.push_back(&change);
            }
        }
        if (later.size() != call->waiting.size()) {
            group.calls.emplace_back(call.get(), std::move(later));
        }
        if (group.members.size() == limit_) break;
    }
    return group;
}

// What takes memory comes before anything is changed, or its error is that of the calls.
Result<> GroupCommit::lead(std::unique_lock<std::mutex>& lock, Deadline deadline) {
    Group group = gather();
    led_ = true;
    ++count_.groups;
    count_.calls += group.calls.size();
    for (auto& [call, later] : group.calls) {
        call->under_way += call->waiting.size() - later.size();
        call->waiting.swap(later);
    }
    lock.unlock();
    const auto result = withoutThrowing([&] { return run_(group.changes, deadline); });
    lock.lock();
    settle(group.members, result);
    led_ = false;
    wakeNext();
    return {};
}

void GroupCommit::settle(const std::vector<Member>& group, const Result<ChangeOutcomes>& result) {
    for (size_t i = 0; i < group.size(); ++i) {
        Call& call = *group[i].call;
        --call.under_way;
        if (result) {
            call.outcomes[group[i].index] = (*result)[i];
            continue;
        }
        auto settled = withoutThrowing([&]() -> Result<> {
            if (result.error().failure == Failure::kTimeout) {
                // That was the leader's limit of time; to do it again does no harm.
                call.waiting.push_back(group[i].index);
                call.late = result.error();
            } else {
                call.error = result.error();
            }
            return {};
        });
        if (!settled) call.error = std::move(settled.error());
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
