// SPDX-License-Identifier: Apache-2.0
#include "metadata_keys.h"

#include <gtest/gtest.h>

namespace mooncake {
namespace {

TEST(MetadataKeysTest, AreMooncakes) {
    MetadataKeys keys;
    ASSERT_TRUE(MetadataKeys::create(nullptr, &keys).ok());
    EXPECT_EQ(keys.segment("host:1234"), "mooncake/ram/host:1234");
    EXPECT_EQ(keys.segment("pool/one"), "mooncake/pool/one");
    EXPECT_EQ(keys.rpcMeta("host:1234"), "mooncake/rpc_meta/host:1234");
    ASSERT_TRUE(MetadataKeys::create("", &keys).ok());
    EXPECT_EQ(keys.segment("a"), "mooncake/ram/a");
    for (const char* id : {"blue", "blue/"}) {
        ASSERT_TRUE(MetadataKeys::create(id, &keys).ok());
        EXPECT_EQ(keys.segment("a"), "mooncake/blue/ram/a");
        EXPECT_EQ(keys.segment("a/b"), "mooncake/blue/a/b");
        EXPECT_EQ(keys.rpcMeta("a"), "mooncake/blue/rpc_meta/a");
    }
}

// Case 25
TEST(MetadataKeysTest, RefuseNamesThatCannotBePartOfOne) {
    for (const std::string& bad :
         {std::string(), std::string("a b"), std::string("a,b"), std::string("a\nb"),
          std::string("a\0b", 3), std::string("\xc3\xa4"), std::string(".."), std::string("a/../b"),
          std::string("/a"), std::string("rpc_meta/a"), std::string(513, 'a')}) {
        EXPECT_TRUE(checkSegmentName(bad).IsInvalidArgument()) << bad;
        EXPECT_TRUE(checkServerName(bad).IsInvalidArgument()) << bad;
    }
    EXPECT_TRUE(checkSegmentName("a/b").ok());
    EXPECT_TRUE(checkServerName("a/b").IsInvalidArgument());
    for (const std::string& good :
         {std::string("a"), std::string("host.example:1234"), std::string("[::1]:1234"),
          std::string("rpc_meta"), std::string(512, 'a')}) {
        EXPECT_TRUE(checkSegmentName(good).ok()) << good;
        EXPECT_TRUE(checkServerName(good).ok()) << good;
    }
}

// Case 50
TEST(MetadataKeysTest, RefuseAMalformedClusterId) {
    MetadataKeys keys;
    for (const char* bad : {"a b", "/", "../x", "a,b", "/a", "a\n"}) {
        const Status status = MetadataKeys::create(bad, &keys);
        EXPECT_TRUE(status.IsInvalidArgument()) << bad;
        EXPECT_NE(status.message().find("MC_METADATA_CLUSTER_ID"), std::string_view::npos);
    }
}

}  // namespace
}  // namespace mooncake
