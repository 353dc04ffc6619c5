// SPDX-License-Identifier: Apache-2.0
// One turn: threads that begin together.
#pragma once

#include <barrier>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "figures.h"

namespace mooncake::store_bench {

struct Cost {
    double seconds = 0;    // from the common begin to the last end
    double processor = 0;  // of the process meanwhile, seconds
};

// @param prepare  called with the number of the thread, by it, before the begin
// @param work  the same, measured
template <class Prepare, class Work>
Cost runTurn(size_t threads, const Prepare& prepare, const Work& work) {
    std::exception_ptr failure;
    std::mutex mutex;
    Clock::time_point begun;
    double processor = 0;
    std::barrier begin(static_cast<ptrdiff_t>(threads), [&]() noexcept {
        processor = ownProcessor();
        begun = Clock::now();
    });
    Cost cost;
    std::barrier end(static_cast<ptrdiff_t>(threads), [&]() noexcept {
        cost = {seconds(Clock::now() - begun), ownProcessor() - processor};
    });
    const auto guarded = [&](const auto& call, size_t thread) {
        try {
            call(thread);
        } catch (...) {
            const std::lock_guard lock(mutex);
            failure = std::current_exception();
        }
    };
    {
        std::vector<std::jthread> all;
        for (size_t thread = 0; thread < threads; ++thread) {
            all.emplace_back([&, thread] {
                guarded(prepare, thread);
                begin.arrive_and_wait();
                guarded(work, thread);
                end.arrive_and_wait();
            });
        }
    }
    if (failure) std::rethrow_exception(failure);
    return cost;
}

}  // namespace mooncake::store_bench
