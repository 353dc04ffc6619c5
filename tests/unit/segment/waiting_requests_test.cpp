// SPDX-License-Identifier: Apache-2.0
#include "waiting_requests.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using Clock = WaitingRequests::Clock;

constexpr Clock::time_point kStart(1h);

IoRequest at(uint64_t offset) {
    return {IoOp::kRead, nullptr, offset, 1, nullptr};
}

std::vector<uint64_t> offsets(const WaitingRequests::Taken& requests) {
    std::vector<uint64_t> all;
    for (const auto& [deadline, each] : requests) all.push_back(each.waiting.request.offset);
    return all;
}

TEST(WaitingRequests, EachHasADeadlineOfItsOwn) {
    WaitingRequests waiting(10s);
    EXPECT_EQ(waiting.firstDeadline(), Clock::time_point::max());
    waiting.add({1, at(0), 0}, kStart + 2s);
    waiting.add({1, at(1), 0}, kStart);
    EXPECT_EQ(waiting.firstDeadline(), kStart + 10s);
    EXPECT_EQ(offsets(waiting.takeLate(kStart + 9s)), std::vector<uint64_t>{});
    EXPECT_EQ(offsets(waiting.takeLate(kStart + 10s)), std::vector<uint64_t>{1});
    EXPECT_EQ(waiting.firstDeadline(), kStart + 12s);
}

TEST(WaitingRequests, ARetryWaitsForItsTimeAndOthersDoNot) {
    WaitingRequests waiting(10s);
    waiting.add({1, at(0), 3, kStart + 5s}, kStart);
    waiting.add({2, at(1), 3, kStart + 4s}, kStart);
    EXPECT_EQ(waiting.firstDue(), kStart + 4s);
    EXPECT_TRUE(waiting.due(kStart + 3s).files.empty());
    auto due = waiting.due(kStart + 4s);
    EXPECT_EQ(due.files, std::set<uint32_t>{2});
    EXPECT_TRUE(due.retries);

    waiting.add({3, at(2), 3}, kStart);
    EXPECT_EQ(waiting.firstDue(), Clock::time_point::min());
    due = waiting.due(kStart);
    EXPECT_EQ(due.files, std::set<uint32_t>{3});
    EXPECT_FALSE(due.retries);

    // What was taken out no longer counts, of either kind.
    EXPECT_EQ(offsets(waiting.takeDue(kStart)), std::vector<uint64_t>{2});
    EXPECT_EQ(waiting.firstDue(), kStart + 4s);
    EXPECT_EQ(offsets(waiting.takeFile(2)), std::vector<uint64_t>{1});
    EXPECT_EQ(waiting.firstDue(), kStart + 5s);
    waiting.add({3, at(3), 0}, kStart);
    EXPECT_EQ(waiting.firstDue(), Clock::time_point::min());
}

TEST(WaitingRequests, OnlyTheDueRetriesOfTheFileArePostponed) {
    const auto dueBy = [](Clock::time_point when) {
        WaitingRequests waiting(10s);
        waiting.add({1, at(0), 3, kStart}, kStart);
        waiting.add({1, at(1), 3}, kStart);
        waiting.add({2, at(2), 3, kStart}, kStart);
        waiting.add({1, at(3), 3, kStart + 1s}, kStart);
        waiting.add({1, at(4), 3, kStart}, kStart);
        waiting.postponeRetries(1, kStart, kStart + 5s);
        auto due = offsets(waiting.takeDue(when));
        std::sort(due.begin(), due.end());
        return due;
    };
    EXPECT_EQ(dueBy(kStart), (std::vector<uint64_t>{1, 2}));
    EXPECT_EQ(dueBy(kStart + 1s), (std::vector<uint64_t>{1, 2, 3}));
    EXPECT_EQ(dueBy(kStart + 5s), (std::vector<uint64_t>{0, 1, 2, 3, 4}));
}

TEST(WaitingRequests, TheyKeepTheirOrderAndNoneIsLost) {
    WaitingRequests waiting(10s);
    for (uint64_t i = 0; i < 100; ++i)
        waiting.add({static_cast<uint32_t>(i % 3), at(i), 0}, kStart);
    const auto ofOne = offsets(waiting.takeDue(1, kStart));
    EXPECT_EQ(waiting.size(), 100 - ofOne.size());
    EXPECT_EQ(waiting.due(kStart).files, (std::set<uint32_t>{0, 2}));
    const auto others = offsets(waiting.takeAll());
    EXPECT_TRUE(waiting.empty());
    EXPECT_EQ(waiting.firstDeadline(), Clock::time_point::max());
    EXPECT_EQ(ofOne.size() + others.size(), 100u);
    EXPECT_TRUE(std::is_sorted(ofOne.begin(), ofOne.end()));
    EXPECT_TRUE(std::is_sorted(others.begin(), others.end()));
    EXPECT_EQ(ofOne.front(), 1u);
}

TEST(WaitingRequests, WhatIsLateIsTakenOfEachFileAndTheRestStaysInItsQueue) {
    WaitingRequests waiting(10s);
    for (uint64_t i = 0; i < 10; ++i) {
        waiting.add({static_cast<uint32_t>(i % 2), at(i), 0}, kStart + std::chrono::seconds(i));
    }
    EXPECT_EQ(offsets(waiting.takeLate(kStart + 14s)), (std::vector<uint64_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(offsets(waiting.takeFile(0)), (std::vector<uint64_t>{6, 8}));
    EXPECT_EQ(offsets(waiting.takeFile(1)), (std::vector<uint64_t>{5, 7, 9}));
    EXPECT_TRUE(waiting.due(kStart).files.empty());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
