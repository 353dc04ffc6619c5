// SPDX-License-Identifier: Apache-2.0
// Submitting where memory runs out: nothing was started, or everything that was started ends; an
// error code says which.
#include <thread>

#include "error.h"
#include "local_nodes.h"
#include "memory_limit.h"
#include "transfer_engine_c.h"

namespace mooncake::test {
namespace {

class SubmittingWithoutMemoryTest : public ::testing::Test {
 protected:
    static constexpr size_t kRequests = 600;
    static constexpr size_t kSize = 2 * kRequests * kBlock;

    SubmittingWithoutMemoryTest() {
        target_.becomeTarget();
        file_ = target_.add(folder_.make("file", kSize, 'x'), kSize);
    }
    ~SubmittingWithoutMemoryTest() override {
        if (engine_ != nullptr) destroyTransferEngine(engine_);
    }

    void openInC() {
        engine_ = createTransferEngine("P2PHANDSHAKE", "127.0.0.1:0", nullptr, 12345, 0);
        ASSERT_NE(engine_, nullptr);
        ASSERT_NE(installTransport(engine_, "nvmeof_generic", nullptr), nullptr);
        segment_ = openSegment(engine_, target_.name().c_str());
    }

    bool hasTask(batch_id_t batch, size_t task, transfer_status& status) {
        return getTransferStatus(engine_, batch, task, &status) == 0;
    }

    /// Waits until every task that is there has ended. @return how many there were
    size_t awaitTasks(batch_id_t batch) {
        size_t tasks = 0;
        for (size_t i = 0; i < kRequests; ++i) {
            transfer_status status{};
            if (!hasTask(batch, i, status)) continue;
            ++tasks;
            EXPECT_TRUE(eventually([&] {
                waitForProgress(engine_, 1000);
                return hasTask(batch, i, status) && status.status != STATUS_WAITING;
            })) << "task "
                << i << " never ends";
            if (HasFailure()) break;
        }
        return tasks;
    }

    FileFolder folder_;
    Node target_;
    FileBufferID file_ = 0;
    transfer_engine_t engine_ = nullptr;
    segment_id_t segment_ = 0;
};

TEST_F(SubmittingWithoutMemoryTest, DoesAllOrNothing) {
    ASSERT_NO_FATAL_FAILURE(openInC());
    Memory memory(kRequests * kBlock);
    // A step that is no divisor of anything: all places get their turn.
    for (long allocations = 0;; allocations += allocations < 20 ? 1 : 37) {
        SCOPED_TRACE("memory ends after " + std::to_string(allocations) + " allocations");
        std::fill_n(memory.data, memory.size, '\0');
        bool refused = false;
        // A thread of its own, whose caches are empty.
        std::thread([&] {
            std::vector<transfer_request> requests(kRequests);
            for (size_t i = 0; i < kRequests; ++i) {
                // No neighbours, so that none is joined.
                requests[i] = {
                    OPCODE_READ, memory.data + i * kBlock, segment_, 2 * i * kBlock, kBlock, file_};
            }
            const batch_id_t batch = allocateBatchID(engine_, kRequests);
            int result = 0;
            refused = test_support::withMemoryFor(allocations, [&] {
                          result = submitTransfer(engine_, batch, requests.data(), kRequests);
                      }) > 0;
            const size_t tasks = awaitTasks(batch);
            EXPECT_EQ(freeBatchID(engine_, batch), 0);
            if (result == 0) {
                EXPECT_EQ(tasks, kRequests);
            } else {
                EXPECT_EQ(result, ERR_MEMORY);
            }
            if (tasks == 0) {
                EXPECT_EQ(memory.view().find('x'), std::string_view::npos)
                    << "none was added, and the kernel wrote to its buffer";
            }
        }).join();
        if (!refused || HasFailure()) break;
    }
}

}  // namespace
}  // namespace mooncake::test
