// SPDX-License-Identifier: Apache-2.0
// What the types do; what clang makes of them is tests/lint's.
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <stop_token>
#include <thread>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

/// Whether another thread could have the mutex now.
bool isFree(Mutex& mutex) {
    return std::async(std::launch::async,
                      [&mutex] {
                          if (!mutex.try_lock()) return false;
                          mutex.unlock();
                          return true;
                      })
        .get();
}

TEST(Mutex, IsHeldByOneWhileALockExists) {
    Mutex mutex;
    {
        const MutexLock lock(mutex);
        EXPECT_FALSE(isFree(mutex));
        {
            const MutexUnlock unlock(mutex);
            EXPECT_TRUE(isFree(mutex));
        }
        EXPECT_FALSE(isFree(mutex));
    }
    EXPECT_TRUE(isFree(mutex));
}

TEST(Mutex, KeepsThreadsApart) {
    Mutex mutex;
    int count = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 10000; ++k) {
                const MutexLock lock(mutex);
                ++count;
            }
        });
    }
    threads.clear();
    EXPECT_EQ(count, 40000);
}

TEST(SharedMutex, HasReadersTogetherAndAWriterAlone) {
    SharedMutex mutex;
    std::atomic<bool> written{false};
    std::jthread writer;
    {
        const ReaderLock first(mutex);
        // Would wait for ever if readers kept each other out.
        std::jthread([&] { const ReaderLock second(mutex); }).join();
        writer = std::jthread([&] {
            const WriterLock lock(mutex);
            written = true;
        });
        EXPECT_FALSE(written);
    }
    writer.join();
    EXPECT_TRUE(written);
    const ReaderLock again(mutex);
}

TEST(SharedMutex, HasNoReaderBesideAWriter) {
    SharedMutex mutex;
    int value = 0;
    std::jthread reader;
    int seen = 0;
    {
        const WriterLock lock(mutex);
        reader = std::jthread([&] {
            const ReaderLock shared(mutex);
            seen = value;
        });
        value = 1;
    }
    reader.join();
    EXPECT_EQ(seen, 1);
}

TEST(CondVar, WakesWhoWaits) {
    Mutex mutex;
    CondVar changed;
    int step = 0;
    std::jthread other([&] {
        const MutexLock lock(mutex);
        while (step != 1) changed.wait(mutex);
        step = 2;
        changed.notifyAll();
    });
    const MutexLock lock(mutex);
    step = 1;
    changed.notifyAll();
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (step != 2) {
        if (!changed.waitUntil(mutex, limit)) break;
    }
    EXPECT_EQ(step, 2);
    EXPECT_FALSE(isFree(mutex)) << "waiting gave the mutex away";
}

TEST(CondVar, SaysWhenTheTimeHasCome) {
    Mutex mutex;
    CondVar never;
    const MutexLock lock(mutex);
    const auto time = std::chrono::steady_clock::now() + 1ms;
    while (never.waitUntil(mutex, time)) {
    }
    EXPECT_GE(std::chrono::steady_clock::now(), time);
    EXPECT_FALSE(isFree(mutex));
}

TEST(CondVar, LetsGoOfTheMutexMeanwhile) {
    Mutex mutex;
    CondVar changed;
    bool done = false;
    std::promise<void> holds;
    std::jthread waiter([&] {
        const MutexLock lock(mutex);
        holds.set_value();
        while (!done) changed.wait(mutex);
    });
    holds.get_future().wait();
    {
        const MutexLock lock(mutex);  // for ever if the waiter kept it
        done = true;
    }
    changed.notifyOne();
}

TEST(Mutex, ServesAWaitThatAStopEnds) {
    Mutex mutex;
    std::condition_variable_any never;
    std::stop_source stop;
    auto waiting = std::async(std::launch::async, [&] {
        const MutexLock lock(mutex);
        return never.wait(mutex, stop.get_token(), [] { return false; });
    });
    stop.request_stop();
    EXPECT_FALSE(waiting.get());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
