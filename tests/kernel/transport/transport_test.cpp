// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>

#include "cluster.h"
#include "kernel_state.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kMiB = 1 << 20;

// The offsets of a file's pieces of `piece` bytes, in random order.
std::vector<uint64_t> shuffledPieces(uint64_t size, size_t piece, uint64_t seed) {
    std::vector<uint64_t> offsets;
    for (uint64_t offset = 0; offset < size; offset += piece) offsets.push_back(offset);
    std::shuffle(offsets.begin(), offsets.end(), std::mt19937_64(seed));
    return offsets;
}

// A target node with files and an initiator node of its own, over TCP and over RDMA.
class WholeWay : public ::testing::TestWithParam<std::string> {
 protected:
    std::string makeTestFile(const std::string& name, uint64_t size) {
        const std::string path = testFolder() + "/" + name;
        makeFile(path, size);
        return path;
    }

    MetadataServer metadata;
    Node target{metadata, "target", targetAddress(GetParam())};
    Node initiator{metadata, "initiator"};
};

TEST_P(WholeWay, WritesReachTheFileAndReadsComeFromIt) {
    constexpr size_t kSize = 8 * kMiB;
    for (const size_t piece : {size_t{4096}, size_t{65536}, kMiB, 3 * kMiB}) {
        SCOPED_TRACE(piece);
        const std::string path = makeTestFile("data" + std::to_string(piece), kSize);
        const uint32_t file = target.add(path, kSize);
        const SegmentID segment = initiator.engine().openSegment("target");
        AlignedBuffer buffer(kSize);

        std::vector<TransferRequest> requests;
        fillPattern(piece, 0, buffer.data(), kSize);
        for (uint64_t offset : shuffledPieces(kSize, piece, 1)) {
            const size_t length = std::min<uint64_t>(piece, kSize - offset);
            requests.push_back(
                {TransferRequest::WRITE, buffer.data() + offset, segment, offset, length, 0, file});
        }
        for (const TransferStatus& status : initiator.run(requests)) {
            EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
        }
        EXPECT_EQ(comparePattern(piece, 0, readDirect(path, 0, kSize).data(), kSize), "");

        // The other way the data comes from the file itself, and is new, so that nothing can be
        // left over in memory.
        fillPattern(piece + 1, 0, buffer.data(), kSize);
        writeDirect(path, 0, buffer.data(), kSize);
        memset(buffer.data(), 0, kSize);
        for (TransferRequest& request : requests) request.opcode = TransferRequest::READ;
        for (const TransferStatus& status : initiator.run(requests)) {
            EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
        }
        EXPECT_EQ(comparePattern(piece + 1, 0, buffer.data(), kSize), "");
        EXPECT_EQ(target.engine().unregisterLocalFile(path), 0);
    }
}

TEST_P(WholeWay, FilesDoNotMix) {
    constexpr size_t kSize = 2 * kMiB, kPiece = 16384;
    constexpr int kFiles = 8;
    std::vector<std::string> paths;
    std::vector<uint32_t> ids;
    for (int i = 0; i < kFiles; ++i) {
        paths.push_back(makeTestFile("file" + std::to_string(i), kSize));
        ids.push_back(target.add(paths.back(), kSize));
    }
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(kFiles * kSize);
    std::vector<TransferRequest> requests;
    for (int i = 0; i < kFiles; ++i) {
        fillPattern(ids[i], 0, buffer.data() + i * kSize, kSize);
        for (uint64_t offset : shuffledPieces(kSize, kPiece, i)) {
            requests.push_back({TransferRequest::WRITE, buffer.data() + i * kSize + offset, segment,
                                offset, kPiece, 0, ids[i]});
        }
    }
    std::shuffle(requests.begin(), requests.end(), std::mt19937_64(7));
    for (const TransferStatus& status : initiator.run(requests)) {
        EXPECT_EQ(status.s, TransferStatusEnum::COMPLETED);
    }
    for (int i = 0; i < kFiles; ++i) {
        EXPECT_EQ(comparePattern(ids[i], 0, readDirect(paths[i], 0, kSize).data(), kSize), "")
            << paths[i];
    }
}

TEST_P(WholeWay, BlockDevice) {
    std::istringstream disks(getenv("NVMEOF_TEST_DISKS"));
    std::string disk;
    ASSERT_TRUE(disks >> disk);
    constexpr size_t kSize = 16 * kMiB;
    const uint32_t file = target.add(disk, 64 * kMiB);
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(kSize);
    for (const uint64_t offset : {uint64_t{0}, 64 * kMiB - kSize}) {
        fillPattern(offset + 5, offset, buffer.data(), kSize);
        EXPECT_TRUE(initiator.write(segment, file, offset, buffer.data(), kSize));
        EXPECT_EQ(comparePattern(offset + 5, offset, readDirect(disk, offset, kSize).data(), kSize),
                  "");
        memset(buffer.data(), 0, kSize);
        EXPECT_TRUE(initiator.read(segment, file, offset, buffer.data(), kSize));
        EXPECT_EQ(comparePattern(offset + 5, offset, buffer.data(), kSize), "");
    }
}

// Case 39 on a real device: whatever the alignment, exactly the wanted bytes move.
TEST_P(WholeWay, UnalignedRequestsTouchTheirBytesOnly) {
    constexpr size_t kSize = kMiB;
    const std::string path = makeTestFile("unaligned", kSize);
    AlignedBuffer model(kSize), buffer(kSize);
    fillPattern(1, 0, model.data(), kSize);
    writeDirect(path, 0, model.data(), kSize);
    const uint32_t file = target.add(path, kSize);
    const SegmentID segment = initiator.engine().openSegment("target");
    std::mt19937_64 random(3);
    for (int i = 0; i < 60; ++i) {
        const uint64_t offset = random() % (kSize - 1);
        const size_t length =
            1 + random() % std::min<uint64_t>(kSize - offset, i % 2 ? 700 : 100000);
        const size_t skew = random() % 64;
        if (skew + length > kSize) continue;
        SCOPED_TRACE(std::to_string(offset) + "+" + std::to_string(length));
        memset(buffer.data(), 0xa5, kSize);
        uint8_t* data = buffer.data() + skew;
        if (i % 3 != 0) {
            fillPattern(i + 2, offset, data, length);
            ASSERT_TRUE(initiator.write(segment, file, offset, data, length));
            memcpy(model.data() + offset, data, length);
        } else {
            ASSERT_TRUE(initiator.read(segment, file, offset, data, length));
            EXPECT_EQ(memcmp(data, model.data() + offset, length), 0);
        }
        for (size_t guard = 0; guard < skew; ++guard) ASSERT_EQ(buffer.data()[guard], 0xa5);
        for (size_t guard = skew + length; guard < std::min(kSize, skew + length + 8192); ++guard) {
            ASSERT_EQ(buffer.data()[guard], 0xa5);
        }
    }
    EXPECT_EQ(memcmp(readDirect(path, 0, kSize).data(), model.data(), kSize), 0);
}

// Case 27: a request that is wrong fails alone.
TEST_P(WholeWay, WrongRequestsFailAlone) {
    constexpr size_t kSize = kMiB;
    const std::string path = makeTestFile("wrong", kSize);
    const uint32_t file = target.add(path, kSize);
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(kSize);
    fillPattern(4, 0, buffer.data(), kSize);
    const auto request = [&](uint64_t offset, size_t length, uint32_t id, void* data) {
        return TransferRequest{TransferRequest::WRITE, data, segment, offset, length, 0, id};
    };
    const auto outcome = initiator.run({
        request(0, 4096, file, buffer.data()),
        request(kSize - 4096, 8192, file, buffer.data()),       // beyond the end
        request(UINT64_MAX - 4095, 4096, file, buffer.data()),  // overflows
        request(kSize, 1, file, buffer.data()),                 // behind the end
        request(0, 0, file, buffer.data()),                     // nothing
        request(0, 4096, file, nullptr),                        // nowhere
        request(0, 4096, file + 77, buffer.data()),             // no such file
        request(kSize - 4096, 4096, file, buffer.data() + kSize - 4096),
    });
    EXPECT_EQ(outcome.front().s, TransferStatusEnum::COMPLETED);
    EXPECT_EQ(outcome.back().s, TransferStatusEnum::COMPLETED);
    for (size_t i = 1; i + 1 < outcome.size(); ++i) {
        EXPECT_EQ(outcome[i].s, TransferStatusEnum::FAILED) << i;
        EXPECT_EQ(outcome[i].transferred_bytes, 0u) << i;
    }
    EXPECT_EQ(comparePattern(4, 0, readDirect(path, 0, 4096).data(), 4096), "");
    EXPECT_EQ(comparePattern(4, kSize - 4096, readDirect(path, kSize - 4096, 4096).data(), 4096),
              "");

    // Case 4: so they do by the transport's own interface, which other engines use.
    Transport& transport = *initiator.engine().getTransport("nvmeof_generic");
    const std::vector<TransferRequest> both = {request(0, 4096, file, buffer.data()),
                                               request(kSize, 1, file, buffer.data())};
    const BatchID batch = transport.allocateBatchID(both.size());
    ASSERT_TRUE(transport.submitTransfer(batch, both).ok());
    for (size_t i = 0; i < both.size(); ++i) {
        TransferStatus status{};
        EXPECT_TRUE(eventually([&] {
            return transport.getTransferStatus(batch, i, status).ok() &&
                   status.s != TransferStatusEnum::WAITING;
        }));
        EXPECT_EQ(status.s, i == 0 ? TransferStatusEnum::COMPLETED : TransferStatusEnum::FAILED);
        EXPECT_EQ(status.transferred_bytes, i == 0 ? 4096u : 0u);
    }
    EXPECT_TRUE(transport.freeBatchID(batch).ok());
}

// Case 47, and decision 5: files come and go, their neighbours do not notice.
TEST_P(WholeWay, FilesComeAndGo) {
    constexpr size_t kSize = kMiB;
    const std::string first = makeTestFile("first", kSize), second = makeTestFile("second", kSize);
    const uint32_t firstId = target.add(first, kSize);
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(kSize);
    fillPattern(6, 0, buffer.data(), kSize);
    ASSERT_TRUE(initiator.write(segment, firstId, 0, buffer.data(), kSize));

    const uint32_t secondId = target.add(second, kSize);
    EXPECT_TRUE(initiator.write(segment, secondId, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(6, 0, readDirect(second, 0, kSize).data(), kSize), "");

    EXPECT_EQ(target.engine().unregisterLocalFile(second), 0);
    EXPECT_FALSE(initiator.write(segment, secondId, 0, buffer.data(), kSize));
    EXPECT_TRUE(initiator.write(segment, firstId, 0, buffer.data(), kSize));

    // The same file again has an id of its own. Both mean this file: the old one is that of who has
    // it from the descriptor, the new one that of who heard of it from the node.
    const uint32_t thirdId = target.add(second, kSize);
    EXPECT_NE(thirdId, secondId);
    fillPattern(8, 0, buffer.data(), kSize);
    EXPECT_TRUE(initiator.write(segment, thirdId, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(8, 0, readDirect(second, 0, kSize).data(), kSize), "");
    fillPattern(9, 0, buffer.data(), kSize);
    EXPECT_TRUE(initiator.write(segment, secondId, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(9, 0, readDirect(second, 0, kSize).data(), kSize), "");

    // Deleted and made anew it is another file, and neither id is its.
    EXPECT_EQ(target.engine().unregisterLocalFile(second), 0);
    std::filesystem::remove(second);
    makeFile(second, kSize);
    const uint32_t newId = target.add(second, kSize);
    EXPECT_TRUE(initiator.write(segment, newId, 0, buffer.data(), 4096));
    EXPECT_FALSE(initiator.write(segment, secondId, 4096, buffer.data(), 4096));
    EXPECT_FALSE(initiator.write(segment, thirdId, 4096, buffer.data(), 4096));
    EXPECT_EQ(readDirect(second, 4096, 4096), std::vector<uint8_t>(4096));
}

// Case 8: a size below the physical one is the limit for a remote host, too.
TEST_P(WholeWay, TheRestOfAFileIsOutOfReach) {
    const std::string path = makeTestFile("limited", 2 * kMiB);
    const uint32_t file = target.add(path, kMiB);
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer buffer(8192);
    fillPattern(9, 0, buffer.data(), 8192);
    EXPECT_TRUE(initiator.write(segment, file, kMiB - 4096, buffer.data(), 4096));
    EXPECT_FALSE(initiator.write(segment, file, kMiB - 4096, buffer.data(), 8192));
    const std::vector<uint8_t> zeros(4096);
    EXPECT_EQ(readDirect(path, kMiB, 4096), zeros);
    EXPECT_EQ(readDirect(path, kMiB - 4096, 4096),
              std::vector<uint8_t>(buffer.data(), buffer.data() + 4096));
}

TEST_P(WholeWay, OneNodeIsBothEnds) {
    constexpr size_t kSize = kMiB;
    const std::string path = makeTestFile("loopback", kSize);
    const uint32_t file = target.add(path, kSize);
    const SegmentID own = target.engine().openSegment("target");
    AlignedBuffer buffer(kSize);
    fillPattern(11, 0, buffer.data(), kSize);
    EXPECT_TRUE(target.write(own, file, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(11, 0, readDirect(path, 0, kSize).data(), kSize), "");
}

INSTANTIATE_TEST_SUITE_P(Over, WholeWay, ::testing::Values("tcp", "rdma"),
                         [](const auto& suite) { return suite.param; });

}  // namespace
