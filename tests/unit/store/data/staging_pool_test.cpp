// SPDX-License-Identifier: Apache-2.0
#include "staging_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <map>
#include <random>

namespace mooncake::store {
namespace {

using std::chrono::steady_clock;

TEST(StagingPoolTest, BuffersDoNotOverlapAndComeTogetherAgain) {
    StagingPool pool(1 << 20);
    ASSERT_EQ(pool.size(), 1u << 20);
    std::mt19937_64 random(1);
    for (int round = 0; round < 50; ++round) {
        std::map<std::byte*, size_t> taken;
        size_t refused = 0;
        for (int step = 0; step < 400; ++step) {
            if (!taken.empty() && random() % 3 == 0) {
                const auto one =
                    std::next(taken.begin(), static_cast<ptrdiff_t>(random() % taken.size()));
                for (size_t i = 0; i < one->second; i += 64) {
                    ASSERT_EQ(one->first[i], static_cast<std::byte>(one->second)) << "overwritten";
                }
                pool.give(one->first, one->second);
                taken.erase(one);
                continue;
            }
            const size_t length = 1 + random() % (random() % 4 == 0 ? kLargestStaging : 9000);
            std::byte* const buffer = pool.take(length);
            if (buffer == nullptr) {
                ++refused;
                continue;
            }
            EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer) % kSmallestStaging, 0u);
            std::memset(buffer, static_cast<int>(length), length);
            ASSERT_TRUE(taken.emplace(buffer, length).second);
        }
        EXPECT_GT(refused, 0u);
        for (const auto& [buffer, length] : taken) pool.give(buffer, length);
        EXPECT_EQ(pool.inUse(), 0u);
        std::vector<std::byte*> all;
        while (std::byte* const buffer = pool.take(kLargestStaging)) all.push_back(buffer);
        EXPECT_EQ(all.size(), 4u) << "the pieces did not come together";
        for (std::byte* const buffer : all) pool.give(buffer, kLargestStaging);
    }
}

TEST(StagingPoolTest, HasOneBufferAtLeast) {
    StagingPool pool(0);
    std::byte* const buffer = pool.take(kLargestStaging);
    ASSERT_NE(buffer, nullptr);
    EXPECT_EQ(pool.take(1), nullptr);
    pool.give(buffer, kLargestStaging);
    EXPECT_NE(pool.take(1), nullptr);
}

TEST(StagingPoolTest, WaitsForWhatIsGivenBack) {
    StagingPool pool(0);
    std::byte* const buffer = pool.take(1);
    const uint64_t before = pool.returns();
    pool.waitForMore(before, steady_clock::now());
    auto waiter = std::async(std::launch::async, [&] {
        pool.waitForMore(before, steady_clock::now() + std::chrono::minutes(10));
    });
    pool.give(buffer, 1);
    EXPECT_EQ(waiter.wait_for(std::chrono::seconds(60)), std::future_status::ready);
    // What was given before the call counts, too.
    pool.waitForMore(before, steady_clock::now() + std::chrono::minutes(10));
}

}  // namespace
}  // namespace mooncake::store
