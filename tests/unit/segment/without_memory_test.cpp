// SPDX-License-Identifier: Apache-2.0
// Requests end once, with a result, however little memory there is when they do. A program of its
// own, since it has a say in who gets memory.
#include <functional>
#include <new>

#include "memory_limit.h"
#include "segment_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

class SegmentWithoutMemoryTest : public RemoteSegmentTest {
 protected:
    /// Runs `what` with fewer and fewer refusals, until it needs no memory that is not there.
    template <class What>
    void withLittleMemory(const What& what) {
        for (long allocations = 0; !HasFatalFailure(); ++allocations) {
            SCOPED_TRACE("memory ends after " + std::to_string(allocations) + " allocations");
            refused_ = 0;
            what(allocations);
            if (refused_ == 0) return;
        }
    }
    void withMemoryFor(long allocations, const std::function<void()>& call) {
        refused_ = test_support::withMemoryFor(allocations, call);
    }

    int refused_ = 0;
};

// Their device has failed them; some were to be tried again.
TEST_F(SegmentWithoutMemoryTest, RequestsThatFail) {
    start();
    for (const int error : {EIO, ENODATA, ENOLINK}) {
        for (const int retries : {0, 3}) {
            SCOPED_TRACE(std::to_string(error) + " with " + std::to_string(retries) + " retries");
            withLittleMemory([&](long allocations) {
                ASSERT_TRUE(runUntil(1, 0));
                {
                    std::lock_guard lock(pool.mutex);
                    pool.errors["file 1"] = error;
                    pool.errorsLeft = 1;
                }
                Ended ended;
                ended.file = 1;
                segments->prepare(ended.segment);
                const RemoteSegments::Request request{
                    ended.segment, 1, retries, {IoOp::kRead, this, 0, 4096, &ended}};
                withMemoryFor(allocations, [&] { segments->submit(&request, 1); });
                EXPECT_NE(wait(ended), -1);
            });
        }
    }
}

// A device was closed, and what the kernel never had comes back to wait on.
TEST_F(SegmentWithoutMemoryTest, RequestsThatComeBack) {
    start();
    withLittleMemory([&](long allocations) {
        ASSERT_TRUE(runUntil(1, 0));
        std::shared_ptr<FakeDevice> device;
        {
            std::lock_guard lock(pool.mutex);
            pool.holds = true;
            device = pool.devices.back();
        }
        Ended ended;
        submit(1, ended);
        {
            std::lock_guard lock(pool.mutex);
            pool.holds = false;
        }
        std::vector<IoRequest> returned;
        {
            std::lock_guard lock(pool.mutex);
            returned.swap(device->held);
        }
        ASSERT_EQ(returned.size(), 1U);
        --device->outstanding;
        withMemoryFor(allocations, [&] { device->spec.listener->onIoReturned(returned.front()); });
        const int error = wait(ended);
        EXPECT_TRUE(error == 0 || error == ENOMEM) << error;
    });
}

// Nothing is open yet.
TEST_F(SegmentWithoutMemoryTest, RequestsThatWait) {
    initiator.connectBlocks = true;
    start();
    withLittleMemory([&](long allocations) {
        Ended ended;
        ended.file = 1;
        segments->prepare(ended.segment);
        const RemoteSegments::Request request{
            ended.segment, 1, 0, {IoOp::kRead, this, 0, 4096, &ended}};
        withMemoryFor(allocations, [&] { segments->submit(&request, 1); });
        if (refused_ > 0) {
            EXPECT_EQ(wait(ended), ENOMEM);
        } else {
            initiator.change([&] { initiator.connectBlocks = false; });
            EXPECT_EQ(wait(ended), 0);
        }
    });
}

// The housekeeper ends them.
TEST_F(SegmentWithoutMemoryTest, RequestsThatAreLate) {
    initiator.connectBlocks = true;
    start(1ms);
    due = nullptr;
    withLittleMemory([&](long allocations) {
        Ended ended;
        submit(1, ended);
        const Time late = std::chrono::steady_clock::now() + kLimit;
        withMemoryFor(allocations, [&] {
            try {
                segments->keepHouse(late);
            } catch (const std::bad_alloc&) {
                // Then it is called again.
            }
        });
        segments->keepHouse(late);
        // The segment's thread may be what there was no memory for.
        const int error = wait(ended);
        EXPECT_TRUE(error == ETIMEDOUT || error == ENOMEM) << error;
    });
    initiator.change([&] { initiator.connectBlocks = false; });
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
