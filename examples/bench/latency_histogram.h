// SPDX-License-Identifier: Apache-2.0
// Times in buckets whose width grows with the time: any percentile to within 1.6 %, in a fixed
// amount of memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mooncake::bench {

/// Not thread-safe: each thread fills one of its own, and add() joins them.
class LatencyHistogram {
 public:
    /// @param nanoseconds  of each of `count` requests
    void record(uint64_t nanoseconds, uint64_t count = 1);
    void add(const LatencyHistogram& other);

    uint64_t count() const { return count_; }
    uint64_t min() const { return count_ == 0 ? 0 : min_; }  ///< nanoseconds, exact
    uint64_t max() const { return max_; }                    ///< nanoseconds, exact
    double mean() const;                                     ///< nanoseconds, exact
    double deviation() const;                                ///< nanoseconds

    /// The time that `percent` of the requests did not exceed.
    /// @param percent  above 0, up to 100
    /// @return nanoseconds, rounded up to the end of a bucket, never above max(); 0 without
    /// requests
    uint64_t percentile(double percent) const;

 private:
    // Each power of two is divided into as many buckets; below it, a bucket is one nanosecond.
    static constexpr unsigned kSubBits = 6;
    static constexpr uint64_t kSub = uint64_t{1} << kSubBits;
    static constexpr size_t kBuckets = (64 - kSubBits + 1) * kSub;

    static size_t bucketOf(uint64_t value);
    static uint64_t lastOf(size_t bucket);

    std::array<uint64_t, kBuckets> buckets_{};
    uint64_t count_ = 0;
    uint64_t min_ = UINT64_MAX;
    uint64_t max_ = 0;
    double sum_ = 0;
    double squares_ = 0;
};

}  // namespace mooncake::bench
