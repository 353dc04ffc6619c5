// SPDX-License-Identifier: Apache-2.0
#include "bench/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace mooncake::bench {
namespace {

constexpr double kPercents[] = {0.001, 1, 50, 90, 99, 99.9, 99.99, 100};

// By the definition, on the sorted values.
uint64_t exact(const std::vector<uint64_t>& sorted, double percent) {
    const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
    return sorted[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

TEST(LatencyHistogram, PercentilesAreWithinTheWidthOfABucket) {
    std::mt19937_64 random(5);
    for (const double spread : {1.0, 3.0, 12.0}) {
        std::lognormal_distribution<double> times(8, spread / 3);
        LatencyHistogram histogram;
        std::vector<uint64_t> all;
        for (int i = 0; i < 20000; ++i) {
            all.push_back(static_cast<uint64_t>(times(random)));
            histogram.record(all.back());
        }
        std::sort(all.begin(), all.end());
        for (const double percent : kPercents) {
            const auto wanted = static_cast<double>(exact(all, percent));
            const auto found = static_cast<double>(histogram.percentile(percent));
            EXPECT_GE(found, wanted);
            EXPECT_LE(found, wanted * (1 + 1.0 / 64) + 1);
        }
        EXPECT_EQ(histogram.min(), all.front());
        EXPECT_EQ(histogram.max(), all.back());
        EXPECT_EQ(histogram.percentile(100), all.back());
        EXPECT_EQ(histogram.count(), all.size());
    }
}

TEST(LatencyHistogram, TakesTheSmallestAndTheLargest) {
    LatencyHistogram histogram;
    EXPECT_EQ(histogram.percentile(50), 0u);
    EXPECT_EQ(histogram.min(), 0u);
    EXPECT_EQ(histogram.mean(), 0);
    histogram.record(0);
    histogram.record(UINT64_MAX, 2);
    EXPECT_EQ(histogram.percentile(33), 0u);
    EXPECT_EQ(histogram.percentile(50), UINT64_MAX);
    EXPECT_EQ(histogram.count(), 3u);
}

TEST(LatencyHistogram, KnowsMeanAndDeviation) {
    LatencyHistogram histogram;
    histogram.record(100, 3);
    histogram.record(200);
    EXPECT_DOUBLE_EQ(histogram.mean(), 125);
    EXPECT_NEAR(histogram.deviation(), 43.3, 0.1);
}

TEST(LatencyHistogram, AddingIsAsIfAllHadBeenRecordedInOne) {
    LatencyHistogram one, other, both;
    for (uint64_t i = 1; i < 5000; ++i) {
        (i % 3 == 0 ? one : other).record(i * i);
        both.record(i * i);
    }
    one.add(other);
    for (const double percent : kPercents) {
        EXPECT_EQ(one.percentile(percent), both.percentile(percent));
    }
    EXPECT_EQ(one.min(), both.min());
    EXPECT_EQ(one.count(), both.count());
    EXPECT_DOUBLE_EQ(one.mean(), both.mean());
    EXPECT_NEAR(one.deviation(), both.deviation(), 1);
}

}  // namespace
}  // namespace mooncake::bench
