// SPDX-License-Identifier: Apache-2.0
// Repeating an operation on a store that failed in passing. Every operation of MetadataStorage may
// be repeated: a value is written as a whole, and an entry that is removed twice is gone.
#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "metadata_storage.h"
#include "store_health.h"
#include "store_limits.h"

namespace mooncake {

// What one attempt came to; `again`: a further one may come to something else.
struct StoreAttempt {
    MetadataStorage::Result result;
    bool again = false;
};

// Calls attempt(milliseconds left for it) until it has an answer or the limits are reached. The
// last failure is the result, with their number. `health` is told the result; null where it says
// nothing about a store that is always the same.
template <typename Attempt>
MetadataStorage::Result withRetries(const StoreLimits& limits, StoreHealth* health,
                                    const Attempt& attempt) {
    using Clock = std::chrono::steady_clock;
    using std::chrono::milliseconds;
    const Clock::time_point end = Clock::now() + limits.total;
    milliseconds pause = limits.pause;
    for (int number = 1;; ++number) {
        // Zero would mean "no limit" to those who get it.
        const milliseconds left =
            std::max(milliseconds(1), std::chrono::ceil<milliseconds>(end - Clock::now()));
        StoreAttempt tried = attempt(left);
        if (tried.result.ok() || !tried.again || number >= limits.attempts ||
            Clock::now() + pause >= end) {
            if (!tried.result.ok() && number > 1) {
                tried.result.error += " (after " + std::to_string(number) + " attempts)";
            }
            if (health != nullptr) health->note(tried.result);
            return std::move(tried.result);
        }
        std::this_thread::sleep_for(pause);
        pause *= 2;
    }
}

}  // namespace mooncake
