// SPDX-License-Identifier: Apache-2.0
#include "directory_address.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace mooncake::store {
namespace {

TEST(DirectoryAddressTest, PathsAreSqlite) {
    for (const char* text : {"sqlite:///a/b.db", "sqlite:/a/b.db", "/a/b.db"}) {
        const auto address = parseDirectoryAddress(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->kind, DirectoryAddress::Kind::kSqlite);
        EXPECT_EQ(address->path, "/a/b.db") << text;
    }
    EXPECT_EQ(parseDirectoryAddress("sqlite:b.db")->path, "b.db");
    EXPECT_EQ(parseDirectoryAddress("./b.db")->path, "./b.db");
    for (const char* text : {"sqlite:", "sqlite://", "/a/", "sqlite:///"}) {
        EXPECT_FALSE(parseDirectoryAddress(text)) << text;
    }
}

TEST(DirectoryAddressTest, EverythingElseIsEtcd) {
    const auto expect = [](const char* text, const char* servers, const char* store) {
        const auto address = parseDirectoryAddress(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->kind, DirectoryAddress::Kind::kEtcd) << text;
        EXPECT_EQ(address->servers, servers) << text;
        EXPECT_EQ(address->store, store) << text;
    };
    expect("etcd://a:1", "a:1", "default");
    expect("a:1", "a:1", "default");
    expect("a:1;b:2", "a:1;b:2", "default");
    expect("etcd://a:1,[::1]:2/cache-1", "a:1,[::1]:2", "cache-1");
    expect("etcd://https://a:1,https://b:2", "https://a:1,https://b:2", "default");
    expect("etcd://https://a:1,https://b:2/x", "https://a:1,https://b:2", "x");
    for (const char* text : {"etcd://", "etcd:///x", "a:1/", "a:1/b/c", "a:1/b c"}) {
        EXPECT_FALSE(parseDirectoryAddress(text)) << text;
    }
}

TEST(DirectoryAddressTest, NothingMeansTheEnvironmentsOrTheMachines) {
    unsetenv("MC_STORE_DIRECTORY");
    EXPECT_EQ(parseDirectoryAddress("")->path, "/var/lib/mooncake/store.db");
    setenv("MC_STORE_DIRECTORY", "etcd://a:1", 1);
    EXPECT_EQ(parseDirectoryAddress("")->servers, "a:1");
    unsetenv("MC_STORE_DIRECTORY");
}

}  // namespace
}  // namespace mooncake::store
