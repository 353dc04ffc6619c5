// SPDX-License-Identifier: Apache-2.0
// Nodes without a metadata server, nodes whose server dies, and a program in C.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "cluster.h"
#include "forked_child.h"
#include "target_process.h"

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

// Who asks all the time for a target that has ended in order is told so now and then, and not each
// time: some lines at first, a few a minute afterwards.
TEST(Metadata, ATargetThatIsAwayCostsFewLines) {
    constexpr std::chrono::seconds kAway{20};
    const std::string path = makeTestFile("away"), log = testFolder() + "/away.log";
    MetadataServer server;
    TargetProcess target(server, path, "4420");
    ASSERT_TRUE(target.ready());
    ForkedChild program([&](const ForkedChild::Say& say) {
        if (freopen(log.c_str(), "w", stderr) == nullptr) return 1;
        Node initiator(server, "initiator");
        const SegmentID segment = initiator.engine().openSegment("target");
        AlignedBuffer buffer(4096);
        say(initiator.read(segment, 1, 0, buffer.data(), 4096) ? "reads" : "fails");
        while (initiator.read(segment, 1, 0, buffer.data(), 4096)) {
        }
        uint64_t failed = 0;
        for (const auto begin = std::chrono::steady_clock::now();
             std::chrono::steady_clock::now() < begin + kAway; ++failed) {
            if (initiator.read(segment, 1, 0, buffer.data(), 4096)) return 2;
        }
        say(std::to_string(failed));
        return 0;
    });
    ASSERT_EQ(program.line(), "reads");
    target.signal(SIGTERM);
    EXPECT_EQ(target.wait(), 0);
    EXPECT_GE(atoi(program.line().c_str()), 3) << "it was asked for again and again";
    EXPECT_EQ(program.wait(), 0);
    std::ifstream in(log);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 40) << text;
}

}  // namespace
