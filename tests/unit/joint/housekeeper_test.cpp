// SPDX-License-Identifier: Apache-2.0
#include "housekeeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using Clock = Housekeeper::Clock;

// Counts the calls; wants none by itself.
class Calls {
 public:
    Housekeeper::Work work() {
        return [this](Clock::time_point now) {
            std::lock_guard lock(mutex_);
            ++count_;
            last_ = now;
            changed_.notify_all();
            return count_ == 1 ? first_ : Clock::time_point::max();
        };
    }
    bool reach(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 20s, [&] { return count_ >= count; });
    }
    int count() {
        std::lock_guard lock(mutex_);
        return count_;
    }
    Clock::time_point last() {
        std::lock_guard lock(mutex_);
        return last_;
    }
    Clock::time_point first_ = Clock::time_point::max();

 private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_ = 0;
    Clock::time_point last_{};
};

TEST(Housekeeper, WorksWhenAsked) {
    Calls calls;
    Housekeeper housekeeper(calls.work());
    ASSERT_TRUE(housekeeper.start().ok());
    const auto when = Clock::now() + 50ms;
    housekeeper.callAt(when);
    ASSERT_TRUE(calls.reach(1));
    EXPECT_GE(calls.last(), when);
}

TEST(Housekeeper, AnEarlierTimeComesFirst) {
    Calls calls;
    calls.first_ = Clock::now() + 1h;
    Housekeeper housekeeper(calls.work());
    housekeeper.callAt(Clock::now());
    ASSERT_TRUE(housekeeper.start().ok());
    ASSERT_TRUE(calls.reach(1));
    housekeeper.callAt(Clock::now() + 2h);
    housekeeper.callAt(Clock::now());
    EXPECT_TRUE(calls.reach(2));
}

// Nobody else ends what is late.
TEST(Housekeeper, WithoutMemoryItTriesAgain) {
    Calls calls;
    std::atomic<bool> memory{false};
    Housekeeper housekeeper([&, work = calls.work()](Clock::time_point now) {
        const auto next = work(now);
        if (!memory) throw std::bad_alloc();
        return next;
    });
    ASSERT_TRUE(housekeeper.start().ok());
    housekeeper.callAt(Clock::now());
    ASSERT_TRUE(calls.reach(3));
    memory = true;
    const int before = calls.count();
    housekeeper.callAt(Clock::now());
    EXPECT_TRUE(calls.reach(before + 1));
}

TEST(Housekeeper, EndsWhileItSleeps) {
    Calls calls;
    calls.first_ = Clock::now() + 1h;
    {
        Housekeeper housekeeper(calls.work());
        ASSERT_TRUE(housekeeper.start().ok());
        housekeeper.callAt(Clock::now());
        ASSERT_TRUE(calls.reach(1));
    }
    EXPECT_EQ(calls.count(), 1);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
