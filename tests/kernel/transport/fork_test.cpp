// SPDX-License-Identifier: Apache-2.0
// A program that forks while it reads, writes and exports.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "cluster.h"
#include "forked_child.h"
#include "kernel_state.h"
#include "target_process.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;
constexpr size_t kPiece = 65536;

std::unique_ptr<Node> atExit;

class ForkTest : public ::testing::Test {
 protected:
    ForkTest() { makeFile(path_, kSize); }

    const std::string path_ = testFolder() + "/forked";
    MetadataServer metadata_;
};

// Threads of the parent transfer all the time, target and initiator in one process, and none of
// their requests is touched by what children do with their copies.
TEST_F(ForkTest, TheParentGoesOnUndisturbed) {
    Node node(metadata_, "node", targetAddress("tcp"));
    const uint32_t file = node.add(path_, kSize);
    Node other(metadata_, "other");
    const SegmentID segment = other.engine().openSegment("node");
    AlignedBuffer first(kPiece);
    ASSERT_TRUE(other.read(segment, file, 0, first.data(), kPiece));
    const auto objects = nvmetObjects();
    const auto controllers = nvmeControllers();
    std::atomic<bool> stop = false;
    std::atomic<int> bad = 0, good = 0;
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 16; ++i) {
        threads.emplace_back([&, i] {
            // Direct reads into pages that a fork shares are the kernel's own matter (6.1): each
            // has whole pages of its own.
            AlignedBuffer buffer(kPiece);
            while (!stop) {
                fillPattern(i, i * kPiece, buffer.data(), kPiece);
                const bool done = other.write(segment, file, i * kPiece, buffer.data(), kPiece);
                ++(done ? good : bad);
            }
        });
    }
    const auto die = [](int how) {
        if (how == 0) _exit(0);
        if (how == 1) std::exit(0);
        execlp("true", "true", nullptr);
        _exit(9);
    };
    for (int i = 0; i < 9; ++i) {
        const bool free = i % 3 == 0;
        const auto work = [&, i, free](const ForkedChild::Say&) {
            if (free) {
                node.end();
                other.end();
            } else {
                const BatchID batch = other.engine().allocateBatchID(1);
                if (batch != Transport::INVALID_BATCH_ID) return 1;
                if (node.engine().unregisterLocalFile(path_) == 0) return 2;
                if (node.engine().uninstallTransport("nvmeof_generic") == 0) return 3;
            }
            die(i % 3);
            return 8;
        };
        ForkedChild child(work);
        EXPECT_EQ(child.wait(), 0) << i;
    }
    // From a thread of its own.
    std::thread([&] {
        ForkedChild child([&](const ForkedChild::Say&) {
            other.end();
            return 0;
        });
        EXPECT_EQ(child.wait(), 0);
    }).join();
    const int before = good;
    EXPECT_TRUE(eventually([&] { return good > before + 50 || bad != 0; }, 60));
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(bad, 0);
    EXPECT_EQ(nvmetObjects(), objects);
    EXPECT_EQ(nvmeControllers(), controllers);
    for (size_t i = 0; i < 16; ++i) {
        const auto data = readDirect(path_, i * kPiece, kPiece);
        EXPECT_EQ(comparePattern(i, i * kPiece, data.data(), kPiece), "");
    }
    // It is still in the store, where others find it.
    Node third(metadata_, "third");
    EXPECT_NE(third.engine().openSegment("node"), TransferMetadata::kInvalidSegmentID);
}

// The child of a node is a node when it makes an engine: its own name, exports and connections.
TEST_F(ForkTest, AChildServesAndReadsByItself) {
    Node node(metadata_, "node", targetAddress("tcp"));
    const uint32_t file = node.add(path_, kSize);
    const SegmentID segment = node.engine().openSegment("node");
    AlignedBuffer buffer(kPiece);
    ASSERT_TRUE(node.read(segment, file, 0, buffer.data(), kPiece));
    const auto objects = nvmetObjects();
    const std::string childs = testFolder() + "/childs";
    makeFile(childs, kSize);
    ForkedChild child([&](const ForkedChild::Say&) {
        node.end();
        Node own(metadata_, "child", targetAddress("tcp"));
        const uint32_t id = own.add(childs, kSize);
        const SegmentID mine = own.engine().openSegment("child");
        const SegmentID parents = own.engine().openSegment("node");
        AlignedBuffer memory(kPiece);
        fillPattern(5, 0, memory.data(), kPiece);
        if (!own.write(mine, id, 0, memory.data(), kPiece)) return 1;
        if (!own.write(parents, file, 0, memory.data(), kPiece)) return 2;
        own.end();
        return testing::Test::HasFailure() ? 3 : 0;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(nvmetObjects(), objects);
    EXPECT_TRUE(node.read(segment, file, 0, buffer.data(), kPiece));
    EXPECT_EQ(comparePattern(5, 0, buffer.data(), kPiece), "");
    EXPECT_EQ(comparePattern(5, 0, readDirect(childs, 0, kPiece).data(), kPiece), "");
}

// A killed initiator's controller is nobody's, though a child of it lives.
TEST_F(ForkTest, AChildKeepsNoLeaseOfAController) {
    Node target(metadata_, "target", targetAddress("tcp"));
    const uint32_t file = target.add(path_, kSize);
    pid_t worker = 0;
    {
        ForkedChild initiator([&](const ForkedChild::Say& say) -> int {
            target.end();
            static Node own(metadata_, "initiator");
            AlignedBuffer buffer(kPiece);
            if (!own.read(own.engine().openSegment("target"), file, 0, buffer.data(), kPiece)) {
                return 1;
            }
            static ForkedChild child([](const ForkedChild::Say&) -> int { stay(); });
            say(std::to_string(child.pid()));
            stay();
        });
        worker = std::stoi(initiator.line());
        ASSERT_EQ(nvmeControllers().size(), 1u);
        const std::string folder = "/sys/class/nvme/" + *nvmeControllers().begin();
        const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        EXPECT_EQ(flock(fd, LOCK_EX | LOCK_NB), -1) << "in use";
        initiator.kill();
        EXPECT_EQ(kill(worker, 0), 0);
        EXPECT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0) << "the child has it";
        close(fd);
    }
    Node next(metadata_, "next");
    AlignedBuffer buffer(kPiece);
    EXPECT_TRUE(next.read(next.engine().openSegment("target"), file, 0, buffer.data(), kPiece));
    next.end();
    kill(worker, SIGKILL);
    target.end();
    EXPECT_TRUE(eventually([] {
        for (const std::string& controller : nvmeControllers()) {
            std::ofstream("/sys/class/nvme/" + controller + "/delete_controller") << "1";
        }
        return nvmeControllers().empty();
    }));
}

}  // namespace
