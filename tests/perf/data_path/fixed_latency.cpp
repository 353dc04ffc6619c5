// SPDX-License-Identifier: Apache-2.0
// What a request costs in a server with a thread for each: 64 threads, a read each, files of their
// own, a device that takes a fixed time (the shim's delay).
#include <atomic>
#include <memory>
#include <random>

#include "nodes.h"

namespace mooncake::probe {

void fixedLatency(const Arguments& arguments) {
    constexpr size_t kThreads = 64;
    Target target(makeFiles(arguments.folder, kThreads));
    Initiator initiator;
    const SegmentHandle segment = initiator.open(target.name);
    std::atomic<size_t> ready{0};
    std::atomic<bool> go{false}, stop{false};
    std::vector<std::vector<double>> latencies(kThreads);
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            Read read(initiator.engine, segment, target.files[i]);
            std::mt19937_64 random(i);
            read.run(0);
            ready.fetch_add(1);
            ready.notify_all();
            go.wait(false);
            while (!stop) {
                const auto begun = Clock::now();
                read.run(random() % (kFileSize / kBlock) * kBlock);
                latencies[i].push_back(milliseconds(Clock::now() - begun));
            }
        });
    }
    for (size_t count = 0; (count = ready.load()) < kThreads;) ready.wait(count);
    const AioShimCounts shim = shimCounts();
    const double cpu = processCpu();
    const uint64_t switches = processSwitches();
    go = true;
    go.notify_all();
    std::this_thread::sleep_for(arguments.time);
    stop = true;
    threads.clear();
    const double cpuUsed = processCpu() - cpu;
    const uint64_t slept = processSwitches() - switches;
    const AioShimCounts after = shimCounts();
    std::vector<double> all;
    for (const auto& some : latencies) all.insert(all.end(), some.begin(), some.end());
    const auto requests = static_cast<double>(all.size());
    report(
        {{"cpu_us_per_request", (cpuUsed - (after.cpuSeconds - shim.cpuSeconds)) * 1e6 / requests},
         {"switches_per_request",
          (static_cast<double>(slept) - static_cast<double>(after.switches - shim.switches)) /
              requests},
         {"requests", requests},
         {"latency_ms_median", quantile(all, 0.5)},
         {"latency_ms_p99", quantile(all, 0.99)}});
}

}  // namespace mooncake::probe
