// SPDX-License-Identifier: Apache-2.0
#include "publication_log.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

TEST(PublicationLog, KnowsTheLastAndTheLastThatSucceeded) {
    PublicationLog log;
    const PublicationLog::Clock::time_point start{1h};
    TargetStats stats;
    log.fill(stats, start);
    EXPECT_FALSE(stats.published);
    EXPECT_EQ(stats.sincePublication, 0);
    EXPECT_EQ(log.note(0, start), 0);
    EXPECT_EQ(log.note(-101, start + 2s), -101);
    log.fill(stats, start + 5s);
    EXPECT_FALSE(stats.published);
    EXPECT_EQ(stats.publications, 1u);
    EXPECT_EQ(stats.publicationFailures, 1u);
    EXPECT_EQ(stats.sincePublication, 5);
    log.note(0, start + 6s);
    log.fill(stats, start + 7s);
    EXPECT_TRUE(stats.published);
    EXPECT_EQ(stats.sincePublication, 1);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
