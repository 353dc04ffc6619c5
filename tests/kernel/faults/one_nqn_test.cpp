// SPDX-License-Identifier: Apache-2.0
// Two hosts with one NQN, the two sides of one_nqn_test.sh: what a node exports, and another host
// that has taken all that can be known of it, NQN, number, identity and size, for a file of its
// own.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "../initiator/plain_target.h"
#include "cluster.h"
#include "kernel_state.h"
#include "transfer_metadata.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kBytes = 1 << 20;
constexpr char kImpostorsByte = 'i';

std::string given(const char* variable) {
    const char* const value = getenv(variable);
    EXPECT_NE(value, nullptr) << "run it with one_nqn_test.sh";
    return value == nullptr ? "" : value;
}

std::string address() {
    return given("NVMEOF_TEST_ADDRESS");
}

// Publishes itself when it has seen the node's record, and says again and again what became of its
// file. Until it is killed.
TEST(OneNqn, DISABLED_Impostor) {
    TransferMetadata metadata(given("NVMEOF_TEST_METADATA"));
    std::shared_ptr<TransferMetadata::SegmentDesc> theirs;
    ASSERT_TRUE(eventually(
        [&] {
            theirs = metadata.getSegmentDesc("honest");
            return theirs && theirs->file_buffers.size() == 1;
        },
        200));
    const std::string path = testFolder() + "/impostor";
    std::ofstream(path, std::ios::binary) << std::string(kBytes, kImpostorsByte);
    initiator_test::PlainTarget target({"tcp", "ipv4", address(), "4420"},
                                       theirs->nvmeof_generic_trid.subnqn);
    target.addNamespace(theirs->file_buffers[0].id, path);
    auto mine = std::make_shared<TransferMetadata::SegmentDesc>(*theirs);
    mine->name = "impostor";
    mine->nvmeof_generic_trid.traddr = address();
    ASSERT_EQ(metadata.addLocalSegment(LOCAL_SEGMENT_ID, "impostor", std::move(mine)), 0);
    ASSERT_EQ(metadata.updateLocalSegmentDesc(), 0);
    while (true) {
        const auto content = readDirect(path, 0, kBytes);
        const bool untouched = std::all_of(content.begin(), content.end(),
                                           [](uint8_t byte) { return byte == kImpostorsByte; });
        puts(untouched ? "file untouched" : "file CHANGED");
        fflush(stdout);
        std::this_thread::sleep_for(std::chrono::seconds(1));
    }
}

// The node, and a reader of both on its host.
TEST(OneNqn, DISABLED_Node) {
    MetadataServer metadata(std::atoi(given("NVMEOF_TEST_METADATA_PORT").c_str()), "0.0.0.0");
    const std::string path = testFolder() + "/honest";
    makeFile(path, kBytes);
    Node honest(metadata, "honest", "trtype=tcp traddr=" + address() + " trsvcid=4420");
    const uint32_t file = honest.add(path, kBytes);
    AlignedBuffer buffer(kBytes);
    SegmentID node = 0, impostor = 0;
    std::unique_ptr<Node> reader;
    const auto begin = [&] {
        reader = std::make_unique<Node>(metadata, "reader");
        node = reader->engine().openSegment("honest");
        return eventually(
            [&] {
                impostor = reader->engine().openSegment("impostor");
                return impostor != static_cast<SegmentID>(-1);
            },
            200);
    };
    const auto nothingFrom = [&](SegmentID segment) {
        for (int i = 0; i < 2; ++i) {
            fillPattern(66, 0, buffer.data(), kBytes);
            EXPECT_FALSE(reader->write(segment, file, 0, buffer.data(), kBytes));
            EXPECT_FALSE(reader->read(segment, file, 0, buffer.data(), kBytes));
        }
        EXPECT_EQ(nvmeControllers().size(), 1u);
    };
    const auto holds = [&](uint64_t pattern) {
        return comparePattern(pattern, 0, readDirect(path, 0, kBytes).data(), kBytes);
    };
    const auto end = [&] {
        reader.reset();
        EXPECT_TRUE(eventually([] { return nvmeControllers().empty(); }));
    };

    ASSERT_TRUE(begin());
    fillPattern(1, 0, buffer.data(), kBytes);
    ASSERT_TRUE(reader->write(node, file, 0, buffer.data(), kBytes));
    nothingFrom(impostor);
    EXPECT_EQ(holds(1), "");
    fillPattern(2, 0, buffer.data(), kBytes);
    EXPECT_TRUE(reader->write(node, file, 0, buffer.data(), kBytes));
    EXPECT_EQ(holds(2), "") << "the node is not disturbed";
    end();

    // Who comes first keeps the name: the impostor is reached as itself, and the node not at all.
    ASSERT_TRUE(begin());
    ASSERT_TRUE(reader->read(impostor, file, 0, buffer.data(), kBytes));
    EXPECT_EQ(std::count(buffer.data(), buffer.data() + kBytes, uint8_t{kImpostorsByte}),
              static_cast<std::ptrdiff_t>(kBytes));
    nothingFrom(node);
    EXPECT_EQ(holds(2), "");
    end();

    ASSERT_TRUE(begin());
    ASSERT_TRUE(reader->read(node, file, 0, buffer.data(), kBytes));
    EXPECT_EQ(comparePattern(2, 0, buffer.data(), kBytes), "");
    end();
}

}  // namespace
