// SPDX-License-Identifier: Apache-2.0
// A program asks for each of its tasks, deals with those that have ended, and waits. What it has
// seen end itself ends the wait, too.
#include <array>
#include <chrono>
#include <vector>

#include "local_nodes.h"

namespace mooncake::test {
namespace {

using namespace std::chrono_literals;

// As long as an engine waits at most.
constexpr std::chrono::milliseconds kLimit{10};
constexpr size_t kTasks = 16;
constexpr size_t kSize = 256 * kBlock;

/// Reads of one thread, batch after batch, from a file of the node's own or another's.
class Reader {
 public:
    Reader(Node& node, SegmentHandle segment, FileBufferID file)
        : node_(node), segment_(segment), file_(file) {
        // From now on the file is open.
        EXPECT_EQ(node.run({TransferRequest::READ, memory_.data, segment, 0, kBlock, 0, file}).s,
                  TransferStatusEnum::COMPLETED);
    }

    void submit() {
        std::vector<TransferRequest> requests;
        for (size_t i = 0; i < kTasks; ++i) {
            requests.push_back({TransferRequest::READ, memory_.data + i * kBlock, segment_,
                                2 * i * kBlock, kBlock, 0, file_});
        }
        batch_ = node_.engine.allocateBatchID(kTasks);
        ASSERT_TRUE(node_.engine.submitTransfer(batch_, requests).ok());
    }
    /// Asks, without waiting, until so many tasks have ended.
    void askUntil(size_t count) {
        ASSERT_TRUE(eventually([&] {
            size_t ended = 0;
            for (size_t i = 0; i < kTasks; ++i) {
                TransferStatus status{};
                EXPECT_TRUE(node_.engine.getTransferStatus(batch_, i, status).ok());
                if (status.s == TransferStatusEnum::COMPLETED) ++ended;
            }
            return ended >= count;
        }));
    }
    void finish() {
        askUntil(kTasks);
        EXPECT_TRUE(node_.engine.freeBatchID(batch_).ok());
    }
    bool wait(std::chrono::milliseconds limit) { return node_.engine.waitForProgress(limit); }

 private:
    Node& node_;
    const SegmentHandle segment_;
    const FileBufferID file_;
    Memory memory_{kTasks * kBlock};
    BatchID batch_ = 0;
};

class ProgressTest : public ::testing::Test {
 protected:
    ProgressTest() {
        target_.becomeTarget();
        file_ = target_.add(folder_.make("file", kSize, 'x'), kSize);
    }

    FileFolder folder_;
    Node target_;
    FileBufferID file_ = 0;
};

TEST_F(ProgressTest, WhatTheThreadHasSeenEndEndsItsWait) {
    Node node;
    Reader reader(node, node.open(target_.name()), file_);
    for (size_t round = 0; round < 100 * kTasks && !HasFailure(); ++round) {
        ASSERT_NO_FATAL_FAILURE(reader.submit());
        reader.askUntil(round % kTasks + 1);
        EXPECT_TRUE(reader.wait(kLimit)) << "it slept for what it had seen";
        reader.finish();
        while (reader.wait(0ms)) {
        }
    }
}

// What a thread knows of one engine is not taken for the other's.
TEST_F(ProgressTest, OfEachOfTwoEngines) {
    Node node;
    std::array<Reader, 2> readers{Reader(node, node.open(target_.name()), file_),
                                  Reader(target_, target_.open(target_.name()), file_)};
    for (int round = 0; round < 200 && !HasFailure(); ++round) {
        for (Reader& reader : readers) ASSERT_NO_FATAL_FAILURE(reader.submit());
        for (Reader& reader : readers) reader.finish();
        for (Reader& reader : readers) EXPECT_TRUE(reader.wait(kLimit));
        for (Reader& reader : readers) {
            while (reader.wait(0ms)) {
            }
        }
    }
}

}  // namespace
}  // namespace mooncake::test
