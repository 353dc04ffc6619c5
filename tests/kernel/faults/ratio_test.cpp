// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <thread>

#include "faults_fixture.h"
#include "phantoms.h"

namespace {

using namespace mooncake;
using namespace std::chrono_literals;

class Ratio : public FaultTest {};

// The throughput of healthy targets with and without hopeless ones beside them, in turns, so that
// what else the machine does hits both. Not a test of its own: times decide nothing there. Run by
// scripts/healthy_ratio.sh.
TEST_F(Ratio, DISABLED_HealthyBesideHopeless) {
    const char* const kHopeless[] = {"silent", "refusing", "unreachable"};
    const SilentListener listener(4498);
    const Phantom silent(*metadata, "silent", "127.0.0.1", "4498");
    const Phantom refusing(*metadata, "refusing", "127.0.0.1", "4499");
    TargetNode& good = target(1, "good", 2);
    TargetNode& other = target(2, "other", 2);
    const Phantom unreachable(*metadata, "unreachable", "10.77.1.99", "4420");
    add(good);
    add(other);
    ASSERT_TRUE(load().healthy());
    std::atomic<bool> asking{false}, ending{false};
    std::atomic<uint64_t> failed{0};
    std::thread hopeless([&] {
        test_support::AlignedBuffer buffer(4096);
        std::vector<TransferRequest> requests;
        for (const char* name : kHopeless) {
            const SegmentID segment = initiator().engine().openSegment(name);
            for (int i = 0; i < 8; ++i) {
                requests.push_back({TransferRequest::READ, buffer.data(), segment, 0, 4096, 0, 1});
            }
        }
        while (!ending) {
            if (asking) {
                // All that were submitted end before the next are.
                for (const auto& status : initiator().run(requests)) {
                    failed += status.s == TransferStatusEnum::FAILED;
                }
            }
            std::this_thread::sleep_for(100ms);
        }
    });
    uint64_t completed[2] = {0, 0};
    double seconds[2] = {0, 0};
    for (int turn = 0; turn < 8; ++turn) {
        const int with = turn % 2;
        asking = with == 1;
        load().report();
        const auto start = std::chrono::steady_clock::now();
        std::this_thread::sleep_for(15s);
        seconds[with] +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const auto report = load().report();
        completed[with] += report.completed;
        EXPECT_EQ(report.failed, 0u);
        EXPECT_EQ(report.wrong, "");
    }
    ending = true;
    hopeless.join();
    const double alone = completed[0] / seconds[0], beside = completed[1] / seconds[1];
    printf(
        "healthy targets alone: %.1f requests/s, beside a silent, a refusing and an unreachable "
        "one: %.1f requests/s, ratio %.3f (%lu requests to those failed)\n",
        alone, beside, beside / alone, failed.load());
}

}  // namespace
