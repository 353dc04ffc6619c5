// SPDX-License-Identifier: Apache-2.0
// Nodes without a metadata server, nodes whose server dies, and a program in C.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "cluster.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;

std::string makeTestFile(const std::string& name) {
    const std::string path = testFolder() + "/" + name;
    makeFile(path, kSize);
    return path;
}

// Whether what is written through `node` is what the file holds then.
bool reaches(Node& node, SegmentID segment, uint32_t file, const std::string& path, uint64_t seed) {
    AlignedBuffer buffer(kSize);
    fillPattern(seed, 0, buffer.data(), kSize);
    return node.write(segment, file, 0, buffer.data(), kSize) &&
           comparePattern(seed, 0, readDirect(path, 0, kSize).data(), kSize).empty();
}

// The initiator exports nothing. Case 46: the target is killed, as far as its nodes can tell, and
// comes back at its address with another subsystem.
TEST(Metadata, NodesThatAskEachOther) {
    const std::string path = makeTestFile("p2p");
    std::optional<Node> target;
    target.emplace(P2PHANDSHAKE, "127.0.0.1:0", targetAddress("tcp"));
    const std::string name = target->engine().getLocalIpAndPort();
    Node initiator(P2PHANDSHAKE, "127.0.0.1");
    const SegmentID segment = initiator.engine().openSegment(name);
    ASSERT_EQ(segment, 1u);
    // Registered after the segment was opened: found by asking again.
    const uint32_t file = target->add(path, kSize);
    EXPECT_TRUE(reaches(initiator, segment, file, path, 1));
    target.reset();
    target.emplace(P2PHANDSHAKE, name, targetAddress("tcp"));
    EXPECT_EQ(target->add(path, kSize), file);
    // What is tried on the old subsystem fails, and leads to the new one.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    bool found = false;
    while (!found && std::chrono::steady_clock::now() < limit) {
        found = reaches(initiator, segment, file, path, 2);
    }
    EXPECT_TRUE(found);
}

// Case 45: the server is killed in the middle, and comes back with nothing.
TEST(Metadata, TransfersGoOnWithoutTheServer) {
    const std::string path = makeTestFile("without");
    std::optional<MetadataServer> server;
    server.emplace();
    const std::string url = server->url();
    const int port = std::stoi(url.substr(url.rfind(':') + 1));
    Node target(*server, "target", targetAddress("tcp"));
    Node initiator(*server, "initiator");
    const uint32_t file = target.add(path, kSize);
    const SegmentID segment = initiator.engine().openSegment("target");
    EXPECT_TRUE(reaches(initiator, segment, file, path, 1));
    server.reset();
    EXPECT_TRUE(reaches(initiator, segment, file, path, 2));
    EXPECT_EQ(initiator.engine().syncSegmentCache(), ERR_METADATA);
    server.emplace(port);
    // The target says again what it has to say.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (initiator.engine().syncSegmentCache() != 0 && std::chrono::steady_clock::now() < limit) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_EQ(initiator.engine().syncSegmentCache(), 0);
    EXPECT_TRUE(reaches(initiator, segment, file, path, 3));
}

TEST(Metadata, AProgramInCReadsAndWrites) {
    const std::string path = makeTestFile("from-c");
    MetadataServer server;
    Node target(server, "target", targetAddress("tcp"));
    const uint32_t file = target.add(path, kSize);
    ChildProcess program({"file_transfer", server.url(), "target", std::to_string(file)});
    EXPECT_NE(program.waitForLine("wrote and read back 65536 bytes"), "") << program.output();
    EXPECT_EQ(program.wait(), 0) << program.output();
    const auto bytes = readDirect(path, 0, 65536);
    for (size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], i * 31 % 251) << i;
}

}  // namespace
