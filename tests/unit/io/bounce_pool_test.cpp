// SPDX-License-Identifier: Apache-2.0
#include "bounce_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <vector>

namespace mooncake::nvmeof_generic::io {
namespace {

std::unique_ptr<BouncePool> make(size_t chunks) {
    auto made = BouncePool::create(chunks * BouncePool::kChunkBytes);
    EXPECT_TRUE(made.ok());
    return made.take();
}

TEST(BouncePool, ChunksAreAlignedAndApart) {
    auto pool = make(8);
    ASSERT_EQ(pool->chunks(), 8U);
    std::set<char*> places;
    for (uint32_t i = 0; i < 8; ++i) {
        char* memory = pool->memory(i);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % BouncePool::kChunkBytes, 0U);
        memory[0] = memory[BouncePool::kChunkBytes - 1] = 1;
        places.insert(memory);
    }
    EXPECT_EQ(places.size(), 8U);
}

TEST(BouncePool, OneAccountLeavesAsMuchAsItHolds) {
    auto pool = make(16);
    BounceAccount account;
    uint32_t chunks[16];
    uint32_t got = 0;
    while (pool->acquire(account, 1, chunks + got)) ++got;
    EXPECT_EQ(got, 8U);
    EXPECT_TRUE(account.waiting);
}

// Any number of accounts that hold what they can leave something for one more, down to the last.
TEST(BouncePool, ThereIsAlwaysSomethingForANewAccount) {
    auto pool = make(64);
    std::vector<BounceAccount> hungry(5);
    uint32_t chunks[64];
    for (BounceAccount& account : hungry) {
        while (pool->acquire(account, 1, chunks)) {
        }
    }
    BounceAccount fresh;
    EXPECT_TRUE(pool->acquire(fresh, 2, chunks));
}

TEST(BouncePool, TheLastChunkIsNotKeptBack) {
    auto pool = make(1);
    BounceAccount account;
    uint32_t chunk = 0;
    EXPECT_TRUE(pool->acquire(account, 1, &chunk));
    EXPECT_EQ(pool->freeChunks(), 0U);
}

TEST(BouncePool, GivesAllOrNothing) {
    auto pool = make(4);
    BounceAccount first;
    BounceAccount second;
    uint32_t chunks[4];
    ASSERT_TRUE(pool->acquire(first, 2, chunks));
    EXPECT_FALSE(pool->acquire(second, 3, chunks + 2));
    EXPECT_EQ(pool->freeChunks(), 2U);
    EXPECT_EQ(second.used, 0U);
}

TEST(BouncePool, ReleaseNamesThoseWhoWaitInTheirOrder) {
    auto pool = make(2);
    BounceAccount holder;
    BounceAccount first;
    BounceAccount second;
    BounceAccount third;
    uint32_t chunks[2];
    uint32_t none[2];
    ASSERT_TRUE(pool->acquire(holder, 2, chunks));
    for (BounceAccount* account : {&first, &second, &third, &second}) {
        EXPECT_FALSE(pool->acquire(*account, 1, none));
    }
    EXPECT_TRUE(pool->forget(second));
    EXPECT_FALSE(pool->forget(second));
    EXPECT_TRUE(pool->forget(third));
    EXPECT_FALSE(pool->acquire(second, 1, none));

    BounceAccount* waiting = pool->release(holder, 1, chunks);
    ASSERT_EQ(waiting, &first);
    ASSERT_EQ(waiting->next, &second);
    EXPECT_EQ(waiting->next->next, nullptr);
    EXPECT_FALSE(first.waiting);
    EXPECT_FALSE(pool->forget(first));
    EXPECT_EQ(pool->release(holder, 1, chunks + 1), nullptr);
    EXPECT_EQ(pool->freeChunks(), 2U);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
