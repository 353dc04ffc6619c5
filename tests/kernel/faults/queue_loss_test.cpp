// SPDX-License-Identifier: Apache-2.0
// Some of a connection's TCP flows die, as behind a bundle of links or a firewall that forgets one,
// and the admin queue's goes on.
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "faults_fixture.h"
#include "file_pattern.h"
#include "kernel_state.h"
#include "log_lines.h"

namespace {

using namespace mooncake;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr uint16_t kPort = 4420;
constexpr size_t kBlock = 4096;
// As in AnswersInTime: the contract's limit is about 10 s, the kernel's own for a command 30 s.
constexpr std::chrono::seconds kLimit{20};

class QueueLossTest : public FaultTest {
 protected:
    void connect() {
        TargetNode& target = FaultTest::target(1, "flows");
        id_ = target.ids()[0];
        test_support::fillPattern(kVersion, 0, content_.data(), content_.size());
        segment_ = initiator().engine().openSegment("flows");
        FlowOrder order(host(1), kPort);
        ASSERT_TRUE(eventually(
            [&] { return initiator().write(segment_, id_, 0, content_.data(), content_.size()); }));
        flows_ = order.end();
        ASSERT_GE(flows_.size(), 3u) << "an admin queue and two for I/O";
    }

    // Reads on each processor in turn, and so over each queue, until `stop`.
    void read(unsigned processor, const std::atomic<bool>& stop) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(processor, &set);
        ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
        test_support::AlignedBuffer buffer(kBlock);
        while (!stop) {
            const auto start = Clock::now();
            const bool ok = initiator().read(segment_, id_, 0, buffer.data(), kBlock);
            const std::chrono::duration<double> took = Clock::now() - start;
            std::lock_guard lock(mutex_);
            slowest_ = std::max(slowest_, took.count());
            ++(ok ? completed_ : failed_);
            if (ok && test_support::comparePattern(kVersion, 0, buffer.data(), kBlock) != "") {
                ADD_FAILURE() << "wrong data";
            }
        }
    }
    double slowest() {
        std::lock_guard lock(mutex_);
        return slowest_;
    }

    static constexpr uint64_t kVersion = 7;
    test_support::AlignedBuffer content_{kFileBytes};
    SegmentID segment_ = 0;
    uint32_t id_ = 0;
    std::vector<uint16_t> flows_;  // in the order of their making
    std::mutex mutex_;
    double slowest_ = 0;
    size_t completed_ = 0, failed_ = 0;
};

TEST_F(QueueLossTest, OneOfSeveralIsNoticedInTime) {
    const test_support::LogLines log;
    ASSERT_NO_FATAL_FAILURE(connect());
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
        readers.emplace_back([&, i] { read(i, stop); });
    }
    host(1).lose({flows_.back()});
    // The one that it hits is told from the others by its time.
    const bool noticed = eventually(
        [&] { return slowest() > 1.0 && !host(1).flowsTo(kPort).contains(flows_.back()); },
        2 * static_cast<int>(kLimit.count()));
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_TRUE(noticed) << "the connection is the old one";
    EXPECT_LE(slowest(), kLimit.count());
    // By the question that went over it. Otherwise all flows look as those of a path that loses
    // large packets do, and the connection is given up with what it has in flight.
    EXPECT_FALSE(log.contain("check the MTU"));
    printf("    one flow of %zu lost: a read took %.1f s at most; %zu completed, %zu failed\n",
           flows_.size(), slowest(), completed_, failed_);
    fflush(stdout);
    host(1).lose({});
}

// Where the queues are full there is no place for a question either.
TEST_F(QueueLossTest, FullQueuesAreNoticedInTime) {
    const Variable small("MC_NVMEOF_GENERIC_IO_QUEUE_SIZE", "16");
    ASSERT_NO_FATAL_FAILURE(connect());
    constexpr size_t kRequests = 128;
    test_support::AlignedBuffer buffer(kRequests * kBlock);
    TransferEngine& engine = initiator().engine();
    std::vector<TransferRequest> requests;
    for (size_t i = 0; i < kRequests; ++i) {
        // Not neighbours, which would be joined.
        const uint64_t offset = 2 * i * kBlock;
        requests.push_back(
            {TransferRequest::READ, buffer.data() + i * kBlock, segment_, offset, kBlock, 0, id_});
    }
    host(1).lose({flows_.begin() + 1, flows_.end()});
    const BatchID batch = engine.allocateBatchID(kRequests);
    const auto start = Clock::now();
    ASSERT_TRUE(engine.submitTransfer(batch, requests).ok());
    size_t completed = 0, failed = 0;
    ASSERT_TRUE(eventually(
        [&] {
            completed = failed = 0;
            for (size_t i = 0; i < kRequests; ++i) {
                TransferStatus status{TransferStatusEnum::INVALID, 0};
                EXPECT_TRUE(engine.getTransferStatus(batch, i, status).ok());
                completed += status.s == TransferStatusEnum::COMPLETED;
                failed += status.s == TransferStatusEnum::FAILED;
            }
            return completed + failed == kRequests;
        },
        static_cast<int>(kLimit.count())))
        << kRequests - completed - failed << " have no answer";
    const std::chrono::duration<double> took = Clock::now() - start;
    EXPECT_TRUE(engine.freeBatchID(batch).ok());
    printf(
        "    all I/O queues' flows lost: the last answer of %zu after %.1f s; %zu completed, %zu "
        "failed\n",
        kRequests, took.count(), completed, failed);
    fflush(stdout);
    EXPECT_TRUE(eventually([&] {
        return initiator().read(segment_, id_, 0, buffer.data(), kBlock);
    })) << "on a new connection";
    host(1).lose({});
}

}  // namespace
