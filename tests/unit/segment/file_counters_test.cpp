// SPDX-License-Identifier: Apache-2.0
#include "file_counters.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cerrno>
#include <map>
#include <thread>
#include <vector>

#include "segment_counters.h"

namespace mooncake::nvmeof_generic {
namespace {

TEST(FileCounters, CountsDirectionsBytesErrorsAndTimes) {
    FileCounters counters;
    counters.noteEnd(Direction::kRead, 0, 100, 7'000);
    counters.noteEnd(Direction::kRead, EIO, 3, 2'000'000);
    counters.noteEnd(Direction::kWrite, ENOSPC, 0, 0);
    counters.noteEnd(Direction::kWrite, 100000, 0, UINT64_MAX / 2);
    counters.noteRetry();
    const FileStats stats = counters.read(5);
    EXPECT_EQ(stats.fileId, 5u);
    EXPECT_EQ(stats.reads.bytes, 103u);
    EXPECT_EQ(stats.reads.latency.count(), 2u);
    EXPECT_EQ(stats.reads.latency.totalMicroseconds, 2007u);
    EXPECT_EQ(stats.writes.latency.buckets.front(), 1u);
    EXPECT_EQ(stats.writes.latency.buckets.back(), 1u);
    EXPECT_EQ(stats.errors, (std::map<int, uint64_t>{{0, 1}, {EIO, 1}, {ENOSPC, 1}}));
    EXPECT_EQ(stats.retries, 1u);
}

TEST(FileCounters, ABucketHoldsWhatItSays) {
    for (size_t bucket = 0; bucket < LatencyHistogram::kBounded; ++bucket) {
        const uint64_t bound = LatencyHistogram::boundMicroseconds(bucket) * 1000;
        FileCounters counters;
        counters.noteEnd(Direction::kRead, 0, 1, bound);
        counters.noteEnd(Direction::kRead, 0, 1, bound + 1);
        const auto& buckets = counters.read(1).reads.latency.buckets;
        EXPECT_EQ(buckets[bucket], 1u) << bucket;
        EXPECT_EQ(buckets[bucket + 1], 1u) << bucket;
    }
}

TEST(FileCounters, ThreadsLoseNothing) {
    FileCounters counters;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 10000; ++n) counters.noteEnd(Direction::kWrite, n % 2, 3, 1000);
        });
    }
    for (auto& thread : threads) thread.join();
    const FileStats stats = counters.read(1);
    EXPECT_EQ(stats.writes.latency.count(), 80000u);
    EXPECT_EQ(stats.writes.bytes, 240000u);
    EXPECT_EQ(stats.errors.at(1), 40000u);
}

// Those beyond the sets that threads have for themselves share one.
TEST(FileCounters, ManyThreadsAtATimeLoseNothing) {
    constexpr int kThreads = 100;
    FileCounters counters;
    std::barrier all(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            all.arrive_and_wait();  // each has its number while the others run
            counters.noteEnd(Direction::kRead, 0, 1, 1000);
            all.arrive_and_wait();
            for (int n = 0; n < 1000; ++n) counters.noteEnd(Direction::kRead, 0, 1, 1000);
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(counters.read(1).reads.bytes, kThreads * 1001u);
    FileCounters sum;
    sum.add(counters);
    EXPECT_EQ(sum.read(1).reads.latency.count(), kThreads * 1001u);
}

// Files come and go for years; their counters must not fill the memory, nor be lost.
TEST(SegmentCounters, OldFilesAreSummedUp) {
    SegmentCounters counters;
    const auto inUse = counters.add(1, [](uint32_t) { return true; });
    constexpr uint32_t kFiles = 10000;
    for (uint32_t id = 1; id <= kFiles; ++id) {
        counters.add(id, [&](uint32_t other) { return other == 2; })
            ->noteEnd(Direction::kRead, 0, 10, 1000);
    }
    uint64_t requests = 0;
    bool first = false, second = false;
    const auto all = counters.read();
    EXPECT_LT(all.size(), 3000u);
    for (const FileStats& file : all) {
        requests += file.reads.latency.count();
        first = first || file.fileId == 1;
        second = second || file.fileId == 2;
    }
    EXPECT_EQ(requests, kFiles);
    EXPECT_TRUE(first) << "it is in use";
    EXPECT_TRUE(second) << "the segment has it";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
