// SPDX-License-Identifier: Apache-2.0
#include "io_queues.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "fake_host.h"
#include "queue_question.h"
#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

class IoQueuesTest : public ::testing::Test {
 protected:
    IoQueuesTest() {
        host.addController({"nvme0"});
        CPU_ZERO(&own);
        EXPECT_EQ(sched_getaffinity(0, sizeof(own), &own), 0);
        while (!CPU_ISSET(first, &own)) ++first;
    }
    void addQueue(const std::string& disk, int number, const std::string& processors) {
        const auto folder = host.controllerDir("nvme0") / disk / "mq" / std::to_string(number);
        std::filesystem::create_directories(folder);
        FakeHost::write(folder / "cpu_list", processors + "\n");
    }
    UniqueFd dir() { return openFolder(AT_FDCWD, host.controllerDir("nvme0").string()).take(); }

    FakeHost host;
    cpu_set_t own;
    unsigned first = 0;  // processor on which this thread may run
};

TEST_F(IoQueuesTest, AQueueIsItsProcessors) {
    addQueue("nvme0c0n1", 0, std::to_string(first) + ", 1022");
    const auto queues = ioQueueProcessors(dir().get());
    ASSERT_TRUE(queues.ok()) << queues.error().message;
    ASSERT_EQ(queues.value().size(), 1u);
    EXPECT_EQ(CPU_COUNT(&queues.value()[0]), 1);
    EXPECT_TRUE(CPU_ISSET(first, &queues.value()[0]));
}

TEST_F(IoQueuesTest, QueuesOfOthersProcessorsAreLeftOut) {
    addQueue("nvme0c0n1", 0, std::to_string(first));
    addQueue("nvme0c0n1", 1, "1022, 1023");
    addQueue("nvme0c0n1", 2, "not a number");
    const auto queues = ioQueueProcessors(dir().get());
    ASSERT_TRUE(queues.ok());
    EXPECT_EQ(queues.value().size(), 1u);
}

TEST_F(IoQueuesTest, WithoutANamespaceThereAreNone) {
    EXPECT_EQ(ioQueueProcessors(dir().get()).error().code, ENOENT);
}

// The kernel holds who asks a queue that is full.
class QueueQuestionTest : public IoQueuesTest {
 protected:
    QueueQuestionTest() {
        fabrics->onProvokeIo = [this] {
            ++asked;
            std::unique_lock lock(mutex);
            changed.wait(lock, [this] { return !full; });
        };
    }
    void letGo() {
        std::lock_guard lock(mutex);
        full = false;
        changed.notify_all();
    }
    bool ask(QueueQuestion& question) {
        const UniqueFd folder = dir();
        return question.ask(fabrics, folder.get(), device);
    }

    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::shared_ptr<const UniqueFd> device = std::make_shared<const UniqueFd>();
    std::mutex mutex;
    std::condition_variable changed;
    bool full = false;
    std::atomic<int> asked{0};
};

TEST_F(QueueQuestionTest, EachTimeIsAQuestionOfItsOwn) {
    QueueQuestion question;
    EXPECT_TRUE(ask(question));
    EXPECT_TRUE(ask(question));
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(device.use_count(), 1);
}

TEST_F(QueueQuestionTest, OneThatIsHeldIsNotAskedAgain) {
    QueueQuestion question;
    full = true;
    EXPECT_FALSE(ask(question));
    EXPECT_FALSE(ask(question));
    EXPECT_EQ(asked, 1) << "one thread at a time";
    letGo();
    while (!ask(question)) std::this_thread::yield();
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(device.use_count(), 1);
}

TEST_F(QueueQuestionTest, WhoLeavesDoesNotWaitForAnAnswer) {
    full = true;
    {
        QueueQuestion question;
        EXPECT_FALSE(ask(question));
    }
    EXPECT_EQ(device.use_count(), 2) << "still in use";
    letGo();
    while (device.use_count() > 1) std::this_thread::yield();
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
