// SPDX-License-Identifier: Apache-2.0
#include "nsid_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace mooncake::nvmeof_generic {
namespace {

TEST(NsidSet, KeepsOneRangeForIdsInOrder) {
    NsidSet set;
    for (uint32_t nsid = 1; nsid <= 100000; ++nsid) set.insert(nsid);
    EXPECT_EQ(set.ranges(), 1u);
    EXPECT_TRUE(set.contains(1));
    EXPECT_TRUE(set.contains(100000));
    EXPECT_FALSE(set.contains(0));
    EXPECT_FALSE(set.contains(100001));
}

TEST(NsidSet, JoinsRangesThatMeet) {
    NsidSet set;
    set.insert(1);
    set.insert(3);
    EXPECT_EQ(set.ranges(), 2u);
    EXPECT_FALSE(set.contains(2));
    set.insert(2);
    EXPECT_EQ(set.ranges(), 1u);
    set.insert(2);
    EXPECT_EQ(set.ranges(), 1u);
}

TEST(NsidSet, HoldsTheExtremes) {
    NsidSet set;
    set.insert(0xffffffff);
    set.insert(0);
    set.insert(0xfffffffe);
    EXPECT_TRUE(set.contains(0) && set.contains(0xfffffffe) && set.contains(0xffffffff));
    EXPECT_FALSE(set.contains(1));
    EXPECT_EQ(set.ranges(), 2u);
}

TEST(NsidSet, AgreesWithAPlainSet) {
    std::mt19937 random(1);
    NsidSet set;
    std::set<uint32_t> plain;
    for (int i = 0; i < 2000; ++i) {
        const uint32_t nsid = random() % 3000;
        set.insert(nsid);
        plain.insert(nsid);
    }
    for (uint32_t nsid = 0; nsid < 3001; ++nsid) {
        ASSERT_EQ(set.contains(nsid), plain.contains(nsid)) << nsid;
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
