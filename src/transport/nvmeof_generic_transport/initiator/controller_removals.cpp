// SPDX-License-Identifier: Apache-2.0
#include "controller_removals.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

ControllerRemovals::~ControllerRemovals() {
    for (Removal& removal : removals_) removal.thread.join();
}

void ControllerRemovals::start(const std::string& subsystemNqn, const std::function<void()>& work) {
    dropEnded();
    if (!startThreadFor(subsystemNqn, work)) withMemory(work);
}

bool ControllerRemovals::startThreadFor(const std::string& subsystemNqn,
                                        const std::function<void()>& work) {
    const std::lock_guard guard(mutex_);
    std::list<Removal> one;
    try {
        one.push_back({subsystemNqn, false, {}});
        Removal& removal = one.front();
        auto started = startThread("nvmeof-removal", [this, &removal, work] {
            withMemory(work);
            const std::lock_guard ending(mutex_);
            removal.ended = true;
            ended_.notify_all();
        });
        if (!started.ok()) return false;
        removal.thread = started.take();
    } catch (const std::bad_alloc&) {
        return false;
    }
    removals_.splice(removals_.end(), one);
    return true;
}

bool ControllerRemovals::endWithin(std::chrono::milliseconds limit,
                                   const std::string& subsystemNqn) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, limit, [&] {
        return std::none_of(removals_.begin(), removals_.end(), [&](const Removal& removal) {
            return !removal.ended && removal.subsystemNqn == subsystemNqn;
        });
    });
}

// Their threads have nothing left to do.
void ControllerRemovals::dropEnded() {
    std::list<Removal> ended;
    {
        const std::lock_guard guard(mutex_);
        for (auto one = removals_.begin(); one != removals_.end();) {
            const auto next = std::next(one);
            if (one->ended) ended.splice(ended.end(), removals_, one);
            one = next;
        }
    }
    for (Removal& removal : ended) removal.thread.join();
}

}  // namespace mooncake::nvmeof_generic
