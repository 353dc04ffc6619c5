// SPDX-License-Identifier: Apache-2.0
// Requests to 128 segments in turn against requests to one. The segments are other names of one
// node. The shim leaves the kernel out ("instant").
#include <atomic>
#include <barrier>
#include <memory>

#include "nodes.h"

namespace mooncake::probe {

void manySegments(const Arguments& arguments) {
    constexpr size_t kSegments = 128;
    Target target(makeFiles(arguments.folder, 1));
    Initiator initiator;
    const auto metadata = initiator.engine.getMetadata();
    const auto descriptor = metadata->getSegmentDescByID(initiator.open(target.name));
    if (!descriptor) fail("no descriptor of the target");
    std::vector<SegmentHandle> segments;
    for (size_t i = 0; i < kSegments; ++i) {
        segments.push_back(static_cast<SegmentHandle>(1000 + i));
        metadata->addLocalSegment(segments.back(), "alias-" + std::to_string(i),
                                  std::make_shared<TransferMetadata::SegmentDesc>(*descriptor));
        Read(initiator.engine, segments.back(), target.files[0]).run(0);
    }
    // Nanoseconds of a request, with two threads, each at another place of the round.
    const auto cost = [&](size_t count) {
        constexpr size_t kThreads = 2, kRequests = 20000;
        std::atomic<double> seconds{0};
        std::vector<std::jthread> threads;
        std::barrier begin(kThreads);
        for (size_t t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                pinTo(t);
                std::vector<std::unique_ptr<Read>> reads;
                for (size_t i = 0; i < count; ++i) {
                    reads.push_back(std::make_unique<Read>(
                        initiator.engine, segments[(i + t * count / kThreads) % count],
                        target.files[0]));
                }
                const auto some = [&](size_t requests) {
                    for (size_t i = 0; i < requests; ++i) {
                        Read& read = *reads[i % count];
                        read.begin(t * kBlock);
                        while (!read.ended()) {
                        }
                    }
                };
                some(4 * kSegments);
                begin.arrive_and_wait();
                const double cpu = threadCpu();
                some(kRequests);
                const double used = threadCpu() - cpu;
                begin.arrive_and_wait();
                for (double now = seconds; !seconds.compare_exchange_weak(now, now + used);) {
                }
            });
        }
        threads.clear();
        return seconds * 1e9 / (kThreads * kRequests);
    };
    std::vector<double> single, many, ratios;
    for (const auto end = Clock::now() + arguments.time; Clock::now() < end || ratios.empty();) {
        single.push_back(cost(1));
        many.push_back(cost(kSegments));
        ratios.push_back(many.back() / single.back());
    }
    report({{"ns_per_request_1_segment", quantile(single, 0.5)},
            {"ns_per_request_128_segments", quantile(many, 0.5)},
            {"128_segments_against_1", quantile(ratios, 0.5)}});
}

}  // namespace mooncake::probe
