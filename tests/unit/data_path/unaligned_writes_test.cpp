// SPDX-License-Identifier: Apache-2.0
// Writes of parts of one block, side by side: each leaves the others' bytes alone, by whatever
// names and engines of this process they come. What was written is read from the file itself.
#include <atomic>
#include <cstring>
#include <thread>

#include "local_nodes.h"

namespace mooncake::test {
namespace {

class UnalignedWritesTest : public ::testing::Test {
 protected:
    static constexpr size_t kSize = 1 << 20;

    UnalignedWritesTest() {
        target_.becomeTarget();
        path_ = folder_.make("file", kSize, '\0');
        file_ = target_.add(path_, kSize);
    }

    struct Way {
        Node& node;
        SegmentHandle segment;
    };

    /// Each way's thread counts up in its own eight bytes of the first block. @return how many of
    /// its writes were COMPLETED, and not there afterwards
    size_t lost(const Way& first, const Way& second) {
        std::atomic<size_t> lost{0};
        const auto write = [&](const Way& way, uint64_t offset) {
            Memory memory(kBlock);
            for (uint64_t value = 1; value <= 1000; ++value) {
                std::memcpy(memory.data, &value, sizeof(value));
                const TransferStatus status = way.node.run(
                    {TransferRequest::WRITE, memory.data, way.segment, offset, 8, 0, file_});
                ASSERT_EQ(status.s, TransferStatusEnum::COMPLETED);
                const std::string there = contents(path_, offset, sizeof(value));
                if (std::memcmp(there.data(), &value, sizeof(value)) != 0) ++lost;
            }
        };
        {
            std::jthread one([&] { write(first, 0); });
            std::jthread other([&] { write(second, 512); });
        }
        return lost;
    }

    FileFolder folder_;
    Node target_;
    std::string path_;
    FileBufferID file_ = 0;
};

TEST_F(UnalignedWritesTest, ByOneName) {
    Node node;
    const SegmentHandle segment = node.open(target_.name());
    EXPECT_EQ(lost({node, segment}, {node, segment}), 0U);
}

TEST_F(UnalignedWritesTest, ByTwoNamesOfOneNode) {
    Node node;
    const std::string name = target_.name();
    const SegmentHandle segment = node.open(name);
    const SegmentHandle other = node.open("localhost" + name.substr(name.rfind(':')));
    ASSERT_NE(segment, other);
    EXPECT_EQ(lost({node, segment}, {node, other}), 0U);
}

// One opens the file directly, the other by the network.
TEST_F(UnalignedWritesTest, ByTheNodeThatHasTheFileAndByAnother) {
    Node other;
    EXPECT_EQ(lost({target_, target_.open(target_.name())}, {other, other.open(target_.name())}),
              0U);
}

TEST_F(UnalignedWritesTest, ByTwoEnginesOfAProcess) {
    Node one, other;
    const Way first{one, one.open(target_.name())};
    const Way second{other, other.open(target_.name())};
    EXPECT_EQ(lost(first, second), 0U);
}

}  // namespace
}  // namespace mooncake::test
