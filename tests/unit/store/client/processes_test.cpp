// SPDX-License-Identifier: Apache-2.0
// Nodes in processes of their own that are killed, or stopped past their lease.
#include <cstdlib>

#include "child_process.h"
#include "directory.h"
#include "directory_kinds.h"

namespace mooncake::test {
namespace {

using test_support::ChildProcess;

class ProcessesTest : public DirectoryKindsTest {
 protected:
    std::unique_ptr<ChildProcess> startChild(const std::string& file, const std::string& node,
                                             const std::string& prefix) const {
        return std::make_unique<ChildProcess>(
            std::vector<std::string>{STORE_CHILD_PROGRAM, directory, "2000", file, node, prefix},
            std::vector<std::string>{"MC_LOCAL_TRANSPORT_FOLDER=" + folder.path()});
    }
    ProcessesTest() { setenv("MC_LOCAL_TRANSPORT_FOLDER", folder.path().c_str(), 1); }
    ~ProcessesTest() override { unsetenv("MC_LOCAL_TRANSPORT_FOLDER"); }

    // A node of this process, with leases that end soon.
    std::shared_ptr<Client> survivor(const std::string& path) {
        auto client = join(shortLived(nodeOptions(directory, "survivor")));
        if (!path.empty()) {
            EXPECT_EQ(mount(*client, path), ErrorCode::OK) << Client::LastError();
        }
        return client;
    }
    // The greatest number that the child says it has put, -1 for none.
    static int lastPut(const ChildProcess& child) {
        const size_t at = child.output().rfind("put ");
        return at == std::string::npos ? -1 : std::atoi(child.output().c_str() + at + 4);
    }
    std::vector<store::ClientInfo> clients() const {
        const auto limit = std::chrono::steady_clock::now() + kForever;
        const auto look = store::Directory::open(directory, {}, limit);
        return *(*look)->clients(limit);
    }
};

// SIGKILL wherever it happens to be: what it said is there and right, the next one is there as a
// whole or not at all.
TEST_P(ProcessesTest, AWriterThatIsKilledLeavesWholeObjects) {
    for (int round = 0; round < 2; ++round) {
        const std::string prefix = std::to_string(round) + "/";
        const std::string file = folder.file("child" + std::to_string(round), 65 * kMiB);
        const auto child = startChild(file, "", prefix);
        ASSERT_NE(child->waitForLine("put " + std::to_string(3 + 14 * round)), "")
            << child->output();
        child->signal(SIGKILL);
        child->wait();
        child->waitForLine("no such line", std::chrono::seconds(5));
        const int last = lastPut(*child);
        // Its file is another's as soon as its lease has ended.
        const auto client = survivor(file);
        for (int i = 0; i <= last; ++i) {
            ASSERT_EQ(get(*client, prefix + std::to_string(i), kChildBytes), ErrorCode::OK) << i;
        }
        const ErrorCode next = get(*client, prefix + std::to_string(last + 1), kChildBytes);
        EXPECT_TRUE(next == ErrorCode::OK || next == ErrorCode::OBJECT_NOT_FOUND) << next;
        // The region that it was filling can be evicted.
        EXPECT_TRUE(eventually([&] { return client->Statistics().regions_sealed >= 1; }));
        for (int i = 0; i < 60; ++i) {
            ASSERT_EQ(put(*client, prefix + "more" + std::to_string(i), 2 * kMiB), ErrorCode::OK);
        }
        EXPECT_EQ(get(*client, prefix + "0", kChildBytes), ErrorCode::OBJECT_NOT_FOUND);
        EXPECT_EQ(client->Statistics().checksum_failures, 0u);
    }
}

// It goes on while the region that it was filling is another's: none of its objects gets in there,
// and the other's are right or known to be wrong.
TEST_P(ProcessesTest, AWriterThatWasStoppedPastItsLeaseDoesNoHarm) {
    const std::string file = folder.file("one", 33 * kMiB);
    const auto one = survivor(file);
    const auto child = startChild("", "survivor", "child/");
    ASSERT_NE(child->waitForLine("put 5"), "") << child->output();
    child->pause();
    // In SQLite it may hold the lock that all need; then it is stopped somewhere else.
    const auto look = store::Directory::open(directory, {}, store::Deadline::max());
    ASSERT_TRUE(look);
    while (!(*look)->touch({}, std::chrono::steady_clock::now() + std::chrono::seconds(1))) {
        child->signal(SIGCONT);
        child->pause();
    }
    const int last = lastPut(*child);
    ASSERT_TRUE(eventually([&] { return clients().size() == 1; }));
    ASSERT_TRUE(eventually([&] { return one->Statistics().regions_sealed >= 1; }));
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(put(*one, "mine/" + std::to_string(i), 400000), ErrorCode::OK);
    }
    EXPECT_EQ(get(*one, "child/0", kChildBytes), ErrorCode::OBJECT_NOT_FOUND);
    child->signal(SIGCONT);
    // It joins anew, and goes on elsewhere.
    ASSERT_NE(child->waitForLine("put " + std::to_string(last + 10)), "") << child->output();
    child->signal(SIGKILL);
    child->wait();
    child->waitForLine("no such line", std::chrono::seconds(5));
    // It may have been stopped between its last question for the lease and the system call. That
    // one object, smaller than the others, then lies on two of them at most, which are known to be
    // wrong.
    uint64_t found = 0, damaged = 0;
    for (int i = 0; i < 100; ++i) {
        const ErrorCode code = get(*one, "mine/" + std::to_string(i), 400000);
        found += code == ErrorCode::OK;
        damaged += code == ErrorCode::CHECKSUM_MISMATCH;
        ASSERT_TRUE(code == ErrorCode::OK || code == ErrorCode::OBJECT_NOT_FOUND ||
                    code == ErrorCode::CHECKSUM_MISMATCH)
            << code;
    }
    EXPECT_GT(found, 0u);
    EXPECT_LE(damaged, 2u);
    EXPECT_EQ(get(*one, "child/" + std::to_string(lastPut(*child)), kChildBytes), ErrorCode::OK);
    EXPECT_EQ(one->Statistics().checksum_failures, damaged);
}

// Two processes read and write each other's files.
TEST_P(ProcessesTest, ProcessesShareTheirFiles) {
    const auto one = survivor(folder.file("one", 33 * kMiB));
    const auto child = startChild(folder.file("child", 33 * kMiB), "", "child/");
    ASSERT_NE(child->waitForLine("put 20"), "") << child->output();
    ASSERT_TRUE(knowsFiles(*one, 2));
    for (int i = 0; i <= 20; ++i) {
        EXPECT_EQ(get(*one, "child/" + std::to_string(i), kChildBytes), ErrorCode::OK) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Directory, ProcessesTest, testing::ValuesIn(directoryKinds()),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace mooncake::test
