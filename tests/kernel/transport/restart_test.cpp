// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>

#include "cluster.h"
#include "kernel_state.h"
#include "target_process.h"

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

// Cases 1, 16 and 46: killed, started again under its name, used by an initiator of before and by a
// new one, all without manual cleaning. The new incarnation exports other files under the same ids.
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

    TargetProcess second(metadata, after, "4420");
    ASSERT_TRUE(second.ready());
    EXPECT_EQ(ownSubsystems(), 1u) << "the orphan is gone";

    // The old initiator's requests fail, or reach the new file's target; none of them lands in the
    // wrong file: what it wrote before is in `before` alone.
    EXPECT_TRUE(eventually([&] {
        std::vector<uint8_t> nothing(4096);
        return oldInitiator.read(oldSegment, 1, 0, buffer.data(), 4096) &&
               std::equal(nothing.begin(), nothing.end(), buffer.data());
    })) << "the old initiator finds the new incarnation";
    EXPECT_EQ(comparePattern(1, 0, readDirect(before, 0, kSize).data(), kSize), "");

    Node newInitiator(metadata, "new");
    const SegmentID newSegment = newInitiator.engine().openSegment("target");
    fillPattern(2, 0, buffer.data(), kSize);
    EXPECT_TRUE(newInitiator.write(newSegment, 1, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(2, 0, readDirect(after, 0, kSize).data(), kSize), "");
    EXPECT_EQ(comparePattern(1, 0, readDirect(before, 0, kSize).data(), kSize), "");

    second.signal(SIGTERM);
    EXPECT_EQ(second.wait(), 0) << second.output();
    EXPECT_EQ(ownSubsystems(), 0u);
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
