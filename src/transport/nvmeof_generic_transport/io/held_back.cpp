// SPDX-License-Identifier: Apache-2.0
#include "held_back.h"

#include <glog/logging.h>

#include <cerrno>
#include <utility>

#include "completion.h"
#include "device.h"
#include "dispatcher.h"
#include "progress.h"
#include "request_end.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// Of a clock that may wrap: only differences count.
uint32_t millisecondsOf(HeldBack::Clock::time_point time) {
    return static_cast<uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

}  // namespace

void HeldBack::add(OperationQueue&& writes) {
    const uint32_t now = millisecondsOf(Clock::now());
    uint32_t added = 0;
    for (Operation* one = writes.head(); one != nullptr; one = one->next) {
        one->heldSince = now;
        ++added;
    }
    {
        const MutexLock lock(mutex_);
        held_.append(std::move(writes));
        count_.fetch_add(added, std::memory_order_seq_cst);
    }
    dispatcher_.noteCaller();
}

void HeldBack::look(Progress& progress, Clock::time_point now) {
    if (empty()) return;
    OperationQueue before, still;
    {
        const MutexLock lock(mutex_);
        before = std::move(held_);
    }
    RequestEnd end(channels_, aio_, nullptr);
    uint32_t ended = 0;
    while (Operation* const write = before.pop()) {
        Device& device = *write->device;
        int error = 0;
        if (device.holdsBack(*write)) {
            const uint32_t held = millisecondsOf(now) - write->heldSince;
            // One that came after `now` was taken is not old.
            if (held < kLongest.count() || held > UINT32_MAX / 2) {
                still.push(write);
                continue;
            }
            LOG_EVERY_T(WARNING, 10)
                << device.name() << ": the kernel has repeated writes over another path, and after "
                << kLongest.count() << " ms could still send them over the first; they fail";
            error = ETIMEDOUT;
        }
        Completions completions;
        endHeld(*write, error, end, completions);
        device.finish(completions, nullptr, false);
        ++ended;
    }
    {
        const MutexLock lock(mutex_);
        still.append(std::move(held_));
        held_ = std::move(still);
        count_.fetch_sub(ended, std::memory_order_seq_cst);
    }
    if (end.ended() > 0) progress.noteEnded(nullptr);
}

}  // namespace mooncake::nvmeof_generic::io
