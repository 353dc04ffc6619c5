// SPDX-License-Identifier: Apache-2.0
// What an engine with the plugin makes of requests that are wrong, or come to nothing.
#include <sys/mman.h>

#include <algorithm>
#include <iterator>
#include <limits>

#include "error.h"
#include "local_nodes.h"

namespace mooncake::test {
namespace {

class RequestsTest : public ::testing::Test {
 protected:
    static constexpr size_t kSize = 2 << 20;

    RequestsTest() {
        target_.becomeTarget();
        path_ = folder_.make("file", kSize, 'x');
        file_ = target_.add(path_, kSize);
        segment_ = node_.open(target_.name());
    }

    FileFolder folder_;
    Node target_, node_;
    std::string path_;
    FileBufferID file_ = 0;
    SegmentHandle segment_ = 0;
};

TEST_F(RequestsTest, AnUnknownOpcodeWritesNothing) {
    Memory memory(kBlock);
    std::fill_n(memory.data, kBlock, 'Q');
    const auto opcode = static_cast<TransferRequest::OpCode>(7);
    const TransferStatus status =
        node_.run({opcode, memory.data, segment_, 2 * kBlock, kBlock, 0, file_});
    EXPECT_TRUE(status.s == TransferStatusEnum::FAILED || status.s == TransferStatusEnum::INVALID)
        << status.s;
    EXPECT_TRUE(contents(path_, 2 * kBlock, kBlock) == std::string(kBlock, 'x'));
}

TEST_F(RequestsTest, AFailedSliceMovedNothing) {
    // The file has lost its second half: a read over all of it is cut short.
    std::filesystem::resize_file(path_, kSize / 2);
    Memory memory(kSize);
    const TransferStatus status =
        node_.run({TransferRequest::READ, memory.data, segment_, 0, kSize, 0, file_});
    EXPECT_EQ(status.s, TransferStatusEnum::FAILED);
    EXPECT_EQ(status.transferred_bytes, 0U) << "the bytes of the slices that succeeded";
}

TEST_F(RequestsTest, ABatchBeyondAnyMemoryIsNone) {
    Transport* const transport = node_.engine.getTransport("nvmeof_generic");
    ASSERT_NE(transport, nullptr);
    Transport::BatchID batch = 0;
    EXPECT_NO_THROW(batch = transport->allocateBatchID(std::numeric_limits<size_t>::max() / 2));
    EXPECT_EQ(batch, Transport::INVALID_BATCH_ID);
}

// Direct, and through the transport's own memory.
TEST_F(RequestsTest, MemoryThatCannotBeTouchedIsAnError) {
    void* const gone = mmap(nullptr, kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(gone, MAP_FAILED);
    for (const auto opcode : {TransferRequest::READ, TransferRequest::WRITE}) {
        for (const size_t length : {size_t{100}, size_t{70000}, kBlock}) {
            const size_t skew = length == kBlock ? 0 : 1;
            EXPECT_EQ(node_
                          .run({opcode, static_cast<char*>(gone) + skew, segment_, skew, length, 0,
                                file_})
                          .s,
                      TransferStatusEnum::FAILED)
                << length;
        }
    }
    EXPECT_TRUE(contents(path_, 0, kSize) == std::string(kSize, 'x'));
    munmap(gone, kSize);
}

TEST_F(RequestsTest, MemoryOfADeviceIsRefused) {
    Memory memory(kBlock);
    TransferEngine& engine = node_.engine;
    for (const char* location : {"*", "cpu", "cpu:0", "cpu:17"}) {
        EXPECT_EQ(engine.registerLocalMemory(memory.data, kBlock, location), 0) << location;
        EXPECT_EQ(engine.unregisterLocalMemory(memory.data), 0);
        EXPECT_EQ(engine.registerLocalMemoryBatch({{memory.data, kBlock}}, location), 0);
        EXPECT_EQ(engine.unregisterLocalMemoryBatch({memory.data}), 0);
    }
    for (const char* location : {"cuda:0", "npu:1", "gpu", "cpux"}) {
        EXPECT_EQ(engine.registerLocalMemory(memory.data, kBlock, location), ERR_INVALID_ARGUMENT)
            << location;
        EXPECT_EQ(engine.registerLocalMemoryBatch({{memory.data, kBlock}}, location),
                  ERR_INVALID_ARGUMENT);
        EXPECT_FALSE(engine.checkOverlap(memory.data, kBlock)) << "nothing is left of it";
    }
}

size_t entriesOf(const char* folder) {
    const std::filesystem::directory_iterator entries(folder);
    return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

TEST_F(RequestsTest, ASegmentThatWasRemovedIsLetGo) {
    Memory memory(kBlock);
    const std::string name = target_.name();
    const auto use = [&] {
        const SegmentHandle segment = node_.open(name);
        ASSERT_EQ(node_.run({TransferRequest::READ, memory.data, segment, 0, kBlock, 0, file_}).s,
                  TransferStatusEnum::COMPLETED);
        ASSERT_EQ(node_.engine.closeSegment(segment), 0);
        ASSERT_EQ(node_.engine.removeLocalSegment(name), 0);
    };
    use();
    const size_t threads = entriesOf("/proc/self/task");
    const size_t descriptors = entriesOf("/proc/self/fd");
    for (int i = 0; i < 20; ++i) ASSERT_NO_FATAL_FAILURE(use());
    // What serves the last one, and any pool, may stay.
    EXPECT_TRUE(eventually([&] {
        return entriesOf("/proc/self/task") <= threads + 5 &&
               entriesOf("/proc/self/fd") <= descriptors + 5;
    })) << "threads "
        << threads << ", later " << entriesOf("/proc/self/task") << "; descriptors " << descriptors
        << ", later " << entriesOf("/proc/self/fd");
}

}  // namespace
}  // namespace mooncake::test
