// SPDX-License-Identifier: Apache-2.0
// A limit of threads, as a container has, that is reached in any call: an error, and no process
// that ends.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "cluster.h"
#include "kernel_state.h"
#include "thread_limit.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;
constexpr size_t kPiece = 4096;

class ThreadsTest : public ::testing::TestWithParam<ThreadLimit::Fails> {
 protected:
    ThreadsTest() {
        for (const std::string& path : {first_, second_}) makeFile(path, kSize);
    }

    // Whether a read of the own segment came to its end, which may be a failure.
    bool readEnds(TransferEngine& engine, SegmentID segment, FileBufferID file, bool* completed) {
        const BatchID batch = engine.allocateBatchID(1);
        TransferStatus status{TransferStatusEnum::FAILED, 0};
        if (engine
                .submitTransfer(
                    batch, {{TransferRequest::READ, buffer_.data(), segment, 0, kPiece, 0, file}})
                .ok()) {
            if (!eventually(
                    [&] {
                        return engine.getTransferStatus(batch, 0, status).ok() &&
                               status.s != TransferStatusEnum::WAITING;
                    },
                    60)) {
                return false;
            }
        }
        *completed = status.s == TransferStatusEnum::COMPLETED;
        return engine.freeBatchID(batch).ok();
    }

    // As far as it comes. @return whether all of it was done
    bool useAll() {
        TransferEngine engine;
        if (engine.init(metadata_.url(), "node") != 0) return false;
        std::string address = targetAddress("tcp");
        void* args[] = {address.data()};
        if (engine.installTransport("nvmeof_generic", args) == nullptr) return false;
        FileBufferID one = 0, two = 0;
        bool all = engine.registerLocalFile(first_, kSize, one) == 0;
        all = engine.registerLocalFile(second_, kSize, two) == 0 && all;
        const SegmentID segment = engine.openSegment("node");
        for (const FileBufferID file : {one, two}) {
            bool completed = false;
            EXPECT_TRUE(readEnds(engine, segment, file, &completed));
            all = all && completed;
        }
        if (one != 0) {
            EXPECT_EQ(engine.unregisterLocalFile(first_), 0);
        }
        return all;
    }

    const std::string first_ = testFolder() + "/threads1", second_ = testFolder() + "/threads2";
    AlignedBuffer buffer_{kPiece};
    MetadataServer metadata_;
};

INSTANTIATE_TEST_SUITE_P(Limit, ThreadsTest,
                         ::testing::Values(ThreadLimit::Fails::kOne, ThreadLimit::Fails::kAllFrom));

TEST_P(ThreadsTest, EveryOneThatCannotBeHad) {
    const auto objects = nvmetObjects();
    const auto controllers = nvmeControllers();
    int failures = 0, nth = 1;
    for (;; ++nth) {
        const ThreadLimit limit(nth, GetParam());
        const bool all = useAll();
        if (!limit.reached()) {
            EXPECT_TRUE(all);
            break;
        }
        if (!all) ++failures;
        ASSERT_EQ(nvmetObjects(), objects) << "after thread " << nth;
        ASSERT_TRUE(eventually([&] { return nvmeControllers() == controllers; }))
            << "after thread " << nth;
    }
    // Of the records, the target (5), the initiator's first, the segment.
    EXPECT_GE(failures, 8);
    EXPECT_TRUE(useAll());
}

}  // namespace
