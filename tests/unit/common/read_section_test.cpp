// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/read_section.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

std::atomic<int> alive{0};

struct Table : Retirable {
    explicit Table(int v) : first(v), second(v) { ++alive; }
    ~Table() override {
        first = -1;
        second = -2;
        --alive;
    }
    int first;
    int second;
};

class ReadSectionTest : public ::testing::Test {
 protected:
    void replace(int value) { retired.add(table.replace(std::make_unique<const Table>(value))); }

    const int before = alive;
    Published<Table> table{std::make_unique<const Table>(0)};
    Retired retired;
};

TEST_F(ReadSectionTest, WhatNobodyReadsIsFreed) {
    replace(1);
    EXPECT_EQ(alive, before + 2);
    EXPECT_TRUE(retired.collect());
    EXPECT_EQ(alive, before + 1);
    const ReadSection reading;
    EXPECT_EQ(table.read()->first, 1);
}

TEST_F(ReadSectionTest, WhatAReaderMaySeeStays) {
    {
        const ReadSection outer;
        const Table* const seen = table.read();
        {
            const ReadSection inner;
            replace(1);
        }
        EXPECT_FALSE(retired.collect());
        EXPECT_EQ(seen->first, 0);
        EXPECT_EQ(table.read()->first, 1);
    }
    EXPECT_TRUE(retired.collect());
    EXPECT_EQ(alive, before + 1);
}

// One that stays keeps what was replaced after it began, and nothing older.
TEST_F(ReadSectionTest, AReaderThatStaysKeepsNothingFromBefore) {
    replace(1);
    std::barrier step(2);
    std::thread reader([&] {
        const ReadSection reading;
        step.arrive_and_wait();
        step.arrive_and_wait();
    });
    step.arrive_and_wait();
    replace(2);
    EXPECT_FALSE(retired.collect());
    EXPECT_EQ(alive, before + 2) << "the first is free";
    step.arrive_and_wait();
    reader.join();
    EXPECT_TRUE(retired.collect());
}

TEST_F(ReadSectionTest, ReadersNeverSeeWhatWasFreed) {
    std::atomic<bool> stop{false};
    std::atomic<bool> wrong{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 4; ++i) {
        readers.emplace_back([&] {
            int last = 0;
            while (!stop) {
                const ReadSection reading;
                const Table* const seen = table.read();
                const int first = seen->first;
                if (first != seen->second || first < last) wrong = true;
                last = first;
            }
        });
    }
    for (int value = 1; value <= 20000; ++value) {
        replace(value);
        retired.collect();
    }
    stop = true;
    for (auto& reader : readers) reader.join();
    EXPECT_FALSE(wrong);
    EXPECT_TRUE(retired.collect());
    EXPECT_EQ(alive, before + 1);
}

// More than have a slot at the start.
TEST_F(ReadSectionTest, EachOfManyThreadsKeepsWhatItSees) {
    constexpr int kThreads = 150;
    std::barrier step(kThreads + 1);
    std::vector<std::thread> readers;
    for (int i = 0; i < kThreads; ++i) {
        readers.emplace_back([&, last = i == kThreads - 1] {
            {
                const ReadSection reading;
                step.arrive_and_wait();
                if (last) step.arrive_and_wait();  // the others go
            }
            if (!last) step.arrive_and_wait();
        });
    }
    step.arrive_and_wait();
    replace(1);
    EXPECT_FALSE(retired.collect());
    step.arrive_and_wait();
    for (auto& reader : readers) reader.join();
    EXPECT_TRUE(retired.collect());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
