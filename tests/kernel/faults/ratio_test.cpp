// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "faults_fixture.h"
#include "kernel_state.h"
#include "phantoms.h"

namespace {

using namespace mooncake;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Requests to a segment that never succeed, a batch after the other, as an application that does
// not give up would send them.
class Hopeless {
 public:
    Hopeless(Node& node, const std::string& segment)
        : node_(node), segment_(node.engine().openSegment(segment)) {}

    void begin() {
        const std::vector<TransferRequest> requests(
            kRequests, {TransferRequest::READ, buffer_.data(), segment_, 0, 4096, 0, 1});
        batch_ = node_.engine().allocateBatchID(kRequests);
        ASSERT_TRUE(node_.engine().submitTransfer(batch_, requests).ok());
        busy_ = true;
    }
    /// @return whether nothing is under way
    bool poll() {
        for (size_t i = 0; busy_ && i < kRequests; ++i) {
            TransferStatus status{TransferStatusEnum::INVALID, 0};
            EXPECT_TRUE(node_.engine().getTransferStatus(batch_, i, status).ok());
            if (status.s == TransferStatusEnum::WAITING) return false;
            EXPECT_EQ(status.s, TransferStatusEnum::FAILED);
        }
        if (!busy_) return true;
        EXPECT_TRUE(node_.engine().freeBatchID(batch_).ok());
        failed_ += kRequests;
        busy_ = false;
        return true;
    }
    uint64_t failed() const { return failed_; }

 private:
    static constexpr size_t kRequests = 8;
    Node& node_;
    const SegmentID segment_;
    test_support::AlignedBuffer buffer_{4096};
    BatchID batch_ = 0;
    bool busy_ = false;
    uint64_t failed_ = 0;
};

double processorSeconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

class Ratio : public FaultTest {};

// Case 29: the throughput of healthy targets with and without hopeless ones beside them, in turns,
// so that what else the machine does hits both. Not a test of its own: times decide nothing there.
// Run by scripts/healthy_ratio.sh.
TEST_F(Ratio, DISABLED_HealthyBesideHopeless) {
    constexpr auto kTurn = 8s;
    constexpr int kTurns = 16;
    const SilentListener listener(4498);
    const Phantom silent(*metadata, "silent", "127.0.0.1", "4498");
    const Phantom refusing(*metadata, "refusing", "127.0.0.1", "4499");
    TargetNode& good = target(1, "good", 2);
    TargetNode& other = target(2, "other", 2);
    const Phantom unreachable(*metadata, "unreachable", "10.77.1.99", "4420");
    add(good);
    add(other);
    ASSERT_TRUE(load().healthy());
    std::array<Hopeless, 3> hopeless = {Hopeless(initiator(), "silent"),
                                        Hopeless(initiator(), "refusing"),
                                        Hopeless(initiator(), "unreachable")};
    std::vector<double> rates[2], costs[2];
    for (int turn = 0; turn < kTurns; ++turn) {
        const int with = turn % 2;
        // What the last turn has left under way is none of this one's.
        const auto idle = [&] {
            return std::count_if(hopeless.begin(), hopeless.end(),
                                 [](Hopeless& one) { return one.poll(); }) == 3;
        };
        while (!idle()) std::this_thread::sleep_for(20ms);
        load().report();
        const auto start = Clock::now();
        const double processor = processorSeconds();
        while (Clock::now() < start + kTurn) {
            for (Hopeless& one : hopeless) {
                if (with && one.poll()) one.begin();
            }
            std::this_thread::sleep_for(20ms);
        }
        const auto report = load().report();
        const double took = std::chrono::duration<double>(Clock::now() - start).count();
        const auto completed = static_cast<double>(report.completed);
        rates[with].push_back(completed / took);
        costs[with].push_back((processorSeconds() - processor) / completed * 1e3);
        printf("    %-6s %8.1f requests/s, %.2f ms of a processor each\n",
               with ? "beside" : "alone", rates[with].back(), costs[with].back());
        fflush(stdout);
        EXPECT_EQ(report.failed, 0u);
        EXPECT_EQ(report.wrong, "");
    }
    for (Hopeless& one : hopeless) {
        EXPECT_TRUE(eventually([&] { return one.poll(); }));
        EXPECT_GT(one.failed(), 0u);
    }
    const double alone = median(rates[0]), beside = median(rates[1]);
    printf(
        "healthy targets alone: %.1f requests/s, beside a silent, a refusing and an unreachable "
        "one: %.1f requests/s, ratio %.3f; %.3f and %.3f ms of a processor each; %lu, %lu and %lu "
        "requests to those failed\n",
        alone, beside, beside / alone, median(costs[0]), median(costs[1]), hopeless[0].failed(),
        hopeless[1].failed(), hopeless[2].failed());
}

}  // namespace
