// SPDX-License-Identifier: Apache-2.0
// What threads of one engine take from each other: processor time of a request with one thread, and
// with two on files of their own. The shim leaves the kernel out ("instant").
#include <atomic>
#include <barrier>

#include "nodes.h"

namespace mooncake::probe {
namespace {

/// Nanoseconds of a thread's processor time for a request.
double cost(Initiator& initiator, SegmentHandle segment, const std::vector<FileBufferID>& files,
            std::chrono::milliseconds time) {
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> requests{0}, nanoseconds{0};
    std::barrier begin(static_cast<std::ptrdiff_t>(files.size()) + 1);
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < files.size(); ++i) {
        threads.emplace_back([&, i] {
            pinTo(i);
            Read read(initiator.engine, segment, files[i]);
            const auto one = [&read] {
                read.begin(0);
                while (!read.ended()) {
                }
            };
            for (int k = 0; k < 1000; ++k) one();
            begin.arrive_and_wait();
            const double cpu = threadCpu();
            uint64_t count = 0;
            while (!stop.load(std::memory_order_relaxed)) {
                one();
                ++count;
            }
            nanoseconds += static_cast<uint64_t>((threadCpu() - cpu) * 1e9);
            requests += count;
        });
    }
    begin.arrive_and_wait();
    std::this_thread::sleep_for(time);
    stop = true;
    threads.clear();
    return static_cast<double>(nanoseconds) / static_cast<double>(requests);
}

}  // namespace

void twoThreads(const Arguments& arguments) {
    Target target(makeFiles(arguments.folder, 2));
    Initiator initiator;
    const SegmentHandle segment = initiator.open(target.name);
    // In short turns, so that what else the machine does falls to both.
    constexpr auto kTurn = std::chrono::milliseconds(100);
    std::vector<double> one, two, ratios;
    for (auto left = arguments.time; left.count() > 0 || ratios.empty(); left -= 2 * kTurn) {
        one.push_back(cost(initiator, segment, {target.files[0]}, kTurn));
        two.push_back(cost(initiator, segment, target.files, kTurn));
        ratios.push_back(two.back() / one.back());
    }
    report({{"ns_per_request_one_thread", quantile(one, 0.5)},
            {"ns_per_request_two_threads", quantile(two, 0.5)},
            {"two_threads_against_one", quantile(ratios, 0.5)}});
}

}  // namespace mooncake::probe
