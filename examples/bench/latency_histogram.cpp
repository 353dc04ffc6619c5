// SPDX-License-Identifier: Apache-2.0
#include "bench/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mooncake::bench {

size_t LatencyHistogram::bucketOf(uint64_t value) {
    if (value < kSub) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    // The leading bit of the shifted value counts as one more row.
    return shift * kSub + (value >> shift);
}

uint64_t LatencyHistogram::lastOf(size_t bucket) {
    if (bucket < kSub) return bucket;
    const uint64_t shift = bucket / kSub - 1;
    const uint64_t first = (bucket - shift * kSub) << shift;
    return first + ((uint64_t{1} << shift) - 1);
}

void LatencyHistogram::record(uint64_t nanoseconds, uint64_t count) {
    if (count == 0) return;
    buckets_[bucketOf(nanoseconds)] += count;
    count_ += count;
    min_ = std::min(min_, nanoseconds);
    max_ = std::max(max_, nanoseconds);
    const auto value = static_cast<double>(nanoseconds);
    const auto times = static_cast<double>(count);
    sum_ += value * times;
    squares_ += value * value * times;
}

void LatencyHistogram::add(const LatencyHistogram& other) {
    for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
    sum_ += other.sum_;
    squares_ += other.squares_;
}

double LatencyHistogram::mean() const {
    return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

double LatencyHistogram::deviation() const {
    if (count_ == 0) return 0;
    const double average = mean();
    return std::sqrt(std::max(0.0, squares_ / static_cast<double>(count_) - average * average));
}

uint64_t LatencyHistogram::percentile(double percent) const {
    if (count_ == 0) return 0;
    const double wanted = std::ceil(percent / 100 * static_cast<double>(count_));
    const auto rank = static_cast<uint64_t>(std::clamp(wanted, 1.0, static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
        seen += buckets_[i];
        if (seen >= rank) return std::min(lastOf(i), max_);
    }
    return max_;
}

}  // namespace mooncake::bench
