// SPDX-License-Identifier: Apache-2.0
// A machine, or a container, that grants no more threads.
#include <dirent.h>
#include <signal.h>

#include <fstream>

#include "nodes.h"
#include "thread_limit.h"

namespace mooncake::test {
namespace {

using ::test_support::ThreadLimit;

class StoreThreadsTest : public StoreTest {};

TEST_F(StoreThreadsTest, WithoutOneOfItsThreadsThereIsNoClient) {
    int granted = 0;
    for (;; ++granted) {
        ASSERT_LT(granted, 100);
        const ThreadLimit limit(granted + 1, ThreadLimit::Fails::kAllFrom);
        const auto client = Client::Create(nodeOptions(directory, "one"));
        if (!limit.reached()) {
            ASSERT_TRUE(client.has_value()) << Client::LastError();
            break;
        }
        EXPECT_FALSE(client.has_value()) << "without thread " << granted + 1;
    }
    EXPECT_GE(granted, 4) << "lease, watch, house, reserve";
}

TEST_F(StoreThreadsTest, LookingUpTakesOneThatThereIs) {
    const auto one = nodeWithFile("one", 8);
    ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    std::vector<std::string> keys;
    for (int i = 0; i < 10000; ++i) keys.push_back("absent" + std::to_string(i));
    keys[7000] = "key";
    const ThreadLimit limit(1, ThreadLimit::Fails::kAllFrom);
    const auto there = one->BatchIsExist(keys);
    for (size_t i = 0; i < keys.size(); ++i) {
        ASSERT_TRUE(there[i].has_value()) << Client::LastError();
        EXPECT_EQ(*there[i], i == 7000) << i;
    }
}

// The program's handlers run on the program's threads.
TEST_F(StoreThreadsTest, TheStoresOwnReceiveNoSignals) {
    const auto one = nodeWithFile("one", 8);
    int seen = 0;
    DIR* const tasks = ::opendir("/proc/self/task");
    ASSERT_NE(tasks, nullptr);
    while (const dirent* const task = ::readdir(tasks)) {
        const std::string task_folder = std::string("/proc/self/task/") + task->d_name;
        std::string name, line;
        std::getline(std::ifstream(task_folder + "/comm"), name);
        if (name.rfind("store-", 0) != 0) continue;
        ++seen;
        std::ifstream status(task_folder + "/status");
        while (std::getline(status, line) && line.rfind("SigBlk:", 0) != 0) {
        }
        const auto blocked =
            std::stoull(line.substr(line.find_first_not_of(" \t", 7)), nullptr, 16);
        EXPECT_NE(blocked >> (SIGTERM - 1) & 1, 0u) << name << ": " << line;
    }
    ::closedir(tasks);
    EXPECT_GE(seen, 4);
}

}  // namespace
}  // namespace mooncake::test
