// SPDX-License-Identifier: Apache-2.0
// The numbers of ClientStatistics while they grow, and how long calls take.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>

#include "mooncake_store/client.h"

namespace mooncake::store {

// Relaxed: each number is by itself.
//
// Thread rule: any thread.
class ClientCounters {
 public:
    using Statistics = ClientStatistics;

    void add(uint64_t Statistics::*which, uint64_t count = 1) {
        std::atomic_ref<uint64_t>(numbers_.*which).fetch_add(count, std::memory_order_relaxed);
    }
    Statistics read() const {
        Statistics copy;
        for (const auto which : kAll) {
            copy.*which =
                std::atomic_ref<uint64_t>(numbers_.*which).load(std::memory_order_relaxed);
        }
        return copy;
    }

 private:
    static constexpr uint64_t Statistics::*kAll[] = {
        &Statistics::gets,
        &Statistics::hits,
        &Statistics::misses_absent,
        &Statistics::misses_evicted,
        &Statistics::misses_unreachable,
        &Statistics::misses_damaged,
        &Statistics::get_bytes,
        &Statistics::puts,
        &Statistics::stored,
        &Statistics::existing,
        &Statistics::put_bytes,
        &Statistics::put_failures,
        &Statistics::checksum_failures,
        &Statistics::replicas_dropped,
        &Statistics::failovers,
        &Statistics::retried_puts,
        &Statistics::cache_hits,
        &Statistics::cache_misses,
        &Statistics::regions_taken,
        &Statistics::regions_evicted,
        &Statistics::objects_evicted,
        &Statistics::objects_moved,
        &Statistics::regions_sealed,
        &Statistics::put_waits,
        &Statistics::leases_lost,
        &Statistics::staged_bytes,
        &Statistics::direct_bytes,
        &Statistics::engine_requests,
        &Statistics::directory_round_trips,
    };
    static_assert(sizeof(kAll) / sizeof(kAll[0]) == sizeof(Statistics) / sizeof(uint64_t));

    mutable Statistics numbers_;
};

// Durations of calls, by powers of two of a microsecond.
//
// Thread rule: any thread.
class Durations {
 public:
    // Bucket i holds what took at most 2^i microseconds; the last one the rest.
    static constexpr size_t kBuckets = 28;

    void add(std::chrono::steady_clock::duration time) {
        const auto us = static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(time).count());
        const size_t bucket = us <= 1 ? 0 : static_cast<size_t>(std::bit_width(us - 1));
        buckets_[std::min(bucket, kBuckets - 1)].fetch_add(1, std::memory_order_relaxed);
        sum_us_.fetch_add(us, std::memory_order_relaxed);
    }
    std::array<uint64_t, kBuckets> buckets() const {
        std::array<uint64_t, kBuckets> copy{};
        for (size_t i = 0; i < kBuckets; ++i) copy[i] = buckets_[i].load(std::memory_order_relaxed);
        return copy;
    }
    uint64_t sumMicroseconds() const { return sum_us_.load(std::memory_order_relaxed); }

 private:
    std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
    std::atomic<uint64_t> sum_us_{0};
};

}  // namespace mooncake::store
