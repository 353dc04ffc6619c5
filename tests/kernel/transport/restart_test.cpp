// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "cluster.h"
#include "kernel_state.h"
#include "target_process.h"
#include "transfer_metadata.h"
#include "transport/nvmeof_generic_transport/nvmeof_transport.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;

size_t ownSubsystems() {
    size_t count = 0;
    for (const std::string& object : nvmetObjects()) {
        count += object.find("/nvmet/subsystems/nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:") !=
                     std::string::npos &&
                 object.find('/', object.find("subsystems/") + 11) == std::string::npos;
    }
    return count;
}

// The outcome of a read that fails, as the kernel or the segment names it, by the initiator's own
// count.
uint64_t countOf(Node& node, SegmentID segment, uint32_t file, int error) {
    const auto* transport =
        static_cast<NVMeoFGenericTransport*>(node.engine().getTransport("nvmeof_generic"));
    for (const SegmentStats& one : transport->getStats().segments) {
        if (one.segmentId != segment) continue;
        for (const FileStats& stats : one.files) {
            const auto found = stats.errors.find(error);
            if (stats.fileId == file && found != stats.errors.end()) return found->second;
        }
    }
    return 0;
}

// Cases 1, 16 and 46: killed, started again under its name, used by an initiator of before and by a
// new one, all without manual cleaning. The new incarnation exports another file under the same id.
TEST(Restart, AfterAKillWithoutCleaning) {
    MetadataServer metadata;
    const std::string folder = testFolder();
    const std::string before = folder + "/before", after = folder + "/after";
    makeFile(before, kSize);
    makeFile(after, kSize);
    AlignedBuffer buffer(kSize);

    auto first = std::make_unique<TargetProcess>(metadata, before, "4420");
    ASSERT_TRUE(first->ready());
    Node oldInitiator(metadata, "old");
    const SegmentID oldSegment = oldInitiator.engine().openSegment("target");
    fillPattern(1, 0, buffer.data(), kSize);
    ASSERT_TRUE(oldInitiator.write(oldSegment, 1, 0, buffer.data(), kSize));

    first->signal(SIGKILL);
    EXPECT_EQ(first->wait(), 128 + SIGKILL);
    EXPECT_EQ(ownSubsystems(), 1u) << "a killed process leaves its subsystem";

    auto second = std::make_unique<TargetProcess>(metadata, after, "4420");
    ASSERT_TRUE(second->ready());
    EXPECT_EQ(ownSubsystems(), 1u) << "the orphan is gone";

    // The number of the old initiator means `before`, which is not there: not `after`, which has
    // its number now.
    EXPECT_TRUE(eventually([&] {
        EXPECT_FALSE(oldInitiator.write(oldSegment, 1, 0, buffer.data(), 4096));
        EXPECT_FALSE(oldInitiator.read(oldSegment, 1, 0, buffer.data(), 4096));
        return countOf(oldInitiator, oldSegment, 1, ESTALE) > 0;
    })) << "the old initiator finds the new incarnation";
    EXPECT_EQ(readDirect(after, 0, kSize), std::vector<uint8_t>(kSize));

    Node newInitiator(metadata, "new");
    const SegmentID newSegment = newInitiator.engine().openSegment("target");
    fillPattern(2, 0, buffer.data(), kSize);
    EXPECT_TRUE(newInitiator.write(newSegment, 1, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(2, 0, readDirect(after, 0, kSize).data(), kSize), "");

    // Who looks again finds it, under a number of its own.
    ASSERT_EQ(oldInitiator.engine().syncSegmentCache("target"), 0);
    const auto looked = oldInitiator.engine().getMetadata()->getSegmentDescByID(oldSegment);
    ASSERT_EQ(looked->file_buffers.size(), 1u);
    const uint32_t number = looked->file_buffers[0].id;
    EXPECT_NE(number, 1u);
    ASSERT_TRUE(oldInitiator.read(oldSegment, number, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(2, 0, buffer.data(), kSize), "");
    EXPECT_FALSE(oldInitiator.write(oldSegment, 1, 0, buffer.data(), 4096));
    EXPECT_EQ(comparePattern(1, 0, readDirect(before, 0, kSize).data(), kSize), "");

    // Both are there, the other way round.
    second->signal(SIGTERM);
    EXPECT_EQ(second->wait(), 0) << second->output();
    TargetProcess third(metadata, after + " " + before, "4420");
    ASSERT_TRUE(third.ready());
    EXPECT_TRUE(
        eventually([&] { return oldInitiator.read(oldSegment, 1, 0, buffer.data(), kSize); }));
    EXPECT_EQ(comparePattern(1, 0, buffer.data(), kSize), "") << "1 is `before`";
    EXPECT_TRUE(
        eventually([&] { return newInitiator.read(newSegment, 1, 0, buffer.data(), kSize); }));
    EXPECT_EQ(comparePattern(2, 0, buffer.data(), kSize), "") << "1 is `after`";
    third.signal(SIGTERM);
    EXPECT_EQ(third.wait(), 0) << third.output();
    EXPECT_EQ(ownSubsystems(), 0u);
}

// Numbers far apart, up to the largest that can be chosen. The initiator's kernel goes through all
// those between; it must not take long. NVMEOF_TEST_FILES: how many files, up to 1024.
TEST(Numbers, AreGoodUpToTheLargest) {
    MetadataServer metadata;
    const std::string folder = testFolder() + "/numbers";
    std::filesystem::create_directory(folder);
    constexpr size_t kSmall = 8192, kEvery = 7;
    const char* given = getenv("NVMEOF_TEST_FILES");
    const size_t files = given != nullptr ? static_cast<size_t>(atoi(given)) : 48;
    Node target(metadata, "target", targetAddress("tcp"));
    std::vector<uint32_t> numbers;
    for (size_t i = 0; i < files; ++i) {
        const std::string path = folder + "/" + std::to_string(i);
        makeFile(path, kSmall);
        numbers.push_back(65535u - static_cast<uint32_t>(i * (65534 / files)));
        ASSERT_EQ(target.engine().registerLocalFileAs(path, kSmall, numbers.back()), 0) << i;
    }
    Node initiator(metadata, "initiator");
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(kSmall);
    for (size_t i = 0; i < files; i += kEvery) {
        fillPattern(i, 0, buffer.data(), kSmall);
        EXPECT_TRUE(initiator.write(segment, numbers[i], 0, buffer.data(), kSmall)) << numbers[i];
    }
    for (size_t i = 0; i < files; ++i) {
        const auto content = readDirect(folder + "/" + std::to_string(i), 0, kSmall);
        if (i % kEvery == 0) {
            EXPECT_EQ(comparePattern(i, 0, content.data(), kSmall), "") << i;
        } else {
            EXPECT_EQ(content, std::vector<uint8_t>(kSmall)) << i;
        }
    }
    initiator.end();
    target.end();
    std::filesystem::remove_all(folder);
}

// The README's three processes.
void benchOver(const std::string& trtype, const std::string& address) {
    MetadataServer metadata;
    const std::string file = testFolder() + "/bench_" + trtype;
    makeFile(file, 8 * kSize);
    const std::vector<std::string> common = {"transfer_engine_nvmeof_generic_bench",
                                             "--metadata_server=" + metadata.url(),
                                             "--trtype=" + trtype, "--traddr=" + address};
    auto arguments = common;
    arguments.insert(arguments.end(),
                     {"--mode=target", "--local_server_name=target", "--files=" + file});
    ChildProcess target(arguments);
    ASSERT_FALSE(target.waitForLine("target ready").empty()) << target.output();
    for (const char* operation : {"write", "read"}) {
        arguments = common;
        arguments.insert(
            arguments.end(),
            {"--mode=initiator", "--local_server_name=initiator", "--segment_id=target",
             std::string("--operation=") + operation, "--batch_size=32", "--block_size=65536",
             "--duration=1", "--threads=2", "--verify"});
        ChildProcess initiator(arguments);
        EXPECT_EQ(initiator.wait(), 0) << initiator.output();
    }
    target.signal(SIGTERM);
    EXPECT_EQ(target.wait(), 0) << target.output();
}

TEST(Bench, ThreeProcessesOverTcp) {
    benchOver("tcp", "127.0.0.1");
}

TEST(Bench, ThreeProcessesOverRdma) {
    const std::string address = targetAddress("rdma");
    const size_t start = address.find("traddr=") + 7;
    benchOver("rdma", address.substr(start, address.find(' ', start) - start));
}

}  // namespace
