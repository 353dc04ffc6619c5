// SPDX-License-Identifier: Apache-2.0
#include "parallel.h"

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace mooncake::nvmeof_generic {

void forEachInParallel(size_t count, size_t maxThreads, const std::function<void(size_t)>& work) {
    std::atomic<size_t> next{0};
    const auto run = [&] {
        // Relaxed: joining the threads orders what they did; the counter only hands out numbers.
        for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) work(i);
    };
    std::vector<std::thread> threads;
    try {
        for (size_t i = 1; i < maxThreads && i < count; ++i) threads.emplace_back(run);
    } catch (const std::system_error&) {  // no more threads
    }
    run();
    for (std::thread& thread : threads) thread.join();
}

}  // namespace mooncake::nvmeof_generic
