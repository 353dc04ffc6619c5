// SPDX-License-Identifier: Apache-2.0
// Gathers the commits of many threads: while one transaction is under way, those that come wait,
// and the first of them takes all with it into the next one. Nobody waits for others to come.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "directory_types.h"
#include "error.h"

namespace mooncake::store {

class GroupCommit {
 public:
    // Sets all the changes, which have different keys.
    using Run = std::function<Result<ChangeOutcomes>(const std::vector<const Change*>&, Deadline)>;

    // @param limit  of the changes in one group
    GroupCommit(size_t limit, Run run) : limit_(limit), run_(std::move(run)) {}

    // From any thread. After an error each change may have been made or not. What another thread's
    // deadline has cut short is done again, until this call's own. What `run` throws is kInternal.
    Result<ChangeOutcomes> commit(const std::vector<Change>& changes, Deadline deadline);

    struct Count {
        uint64_t groups = 0;
        uint64_t calls = 0;  // that took part in them, once for each group
    };
    Count count() const;
    // Calls that are not done.
    size_t waiting() const;

 private:
    struct Call {
        // A copy: who leads may still use it when its caller has gone.
        std::vector<Change> changes;
        ChangeOutcomes outcomes;
        std::deque<size_t> waiting;  // those that are in no group
        size_t under_way = 0;        // those in the group that is run
        std::optional<Error> error;
        std::optional<Error> late;  // why a group with some of it was not done in time
        std::condition_variable wake;

        bool done() const { return under_way == 0 && (error || waiting.empty()); }
    };
    struct Member {
        std::shared_ptr<Call> call;
        size_t index;
    };

    struct Group {
        std::vector<Member> members;
        std::vector<const Change*> changes;                       // of the members
        std::vector<std::pair<Call*, std::deque<size_t>>> calls;  // with what is left to wait
    };

    Group gather() const;
    // @return why no group could be made
    Result<> lead(std::unique_lock<std::mutex>& lock, Deadline deadline);
    void settle(const std::vector<Member>& group, const Result<ChangeOutcomes>& result);
    void leave(const std::shared_ptr<Call>& call);
    void wakeNext();

    const size_t limit_;
    const Run run_;
    mutable std::mutex mutex_;
    bool led_ = false;                         // a group is under way
    std::deque<std::shared_ptr<Call>> queue_;  // calls that are not done, as they came
    Count count_;
};

}  // namespace mooncake::store
