// SPDX-License-Identifier: Apache-2.0
#include "in_flight_ages.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic::io {
namespace {

TEST(InFlightAges, TheOldestCounts) {
    InFlightAges ages;
    EXPECT_EQ(ages.step(), 0u);
    const uint8_t first = ages.started();
    EXPECT_EQ(ages.step(), 0u);
    const uint8_t second = ages.started();
    EXPECT_EQ(ages.step(), 1u);
    EXPECT_EQ(ages.step(), 2u);
    ages.ended(first);
    EXPECT_EQ(ages.step(), 2u);
    ages.ended(second);
    EXPECT_EQ(ages.step(), 0u);
}

// However long it takes, and whatever comes and goes meanwhile.
TEST(InFlightAges, WhatIsAsOldAsCanBeToldStaysSo) {
    InFlightAges ages;
    const uint8_t old = ages.started();
    for (uint32_t i = 0; i < 100; ++i) {
        EXPECT_EQ(ages.step(), std::min(i, InFlightAges::kMost));
        ages.ended(ages.started());
    }
    const uint8_t young = ages.started();
    ages.ended(old);
    EXPECT_EQ(ages.step(), 0u);
    EXPECT_EQ(ages.step(), 1u);
    ages.ended(young);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(ages.step(), 0u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
