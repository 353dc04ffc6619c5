// SPDX-License-Identifier: Apache-2.0
// The end of a device, step by step: the tests of the pool cannot hold it at each of them.
#include "device.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "bounce_pool.h"
#include "channels.h"
#include "completion.h"
#include "conditions.h"
#include "dispatcher.h"
#include "fake_aio.h"
#include "held_back.h"
#include "io_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint32_t kBlock = 4096;

class DeviceTest : public ::testing::Test {
 protected:
    static constexpr size_t kRequests = 4;

    DeviceTest()
        : recorder_(std::make_shared<Recorder>(kRequests)),
          bounce_(BouncePool::create(1 << 20).take()),
          device_(make(recorder_, nullptr)) {}

    std::unique_ptr<Device> make(std::shared_ptr<Recorder> recorder,
                                 std::shared_ptr<WriteGuard> guard) {
        IoDeviceSpec spec{UniqueFd(),          "device",        1ULL << 40, kBlock,
                          std::move(recorder), std::move(guard)};
        const PlanRules rules{DirectIo::kAuto, kBlock, 512, 1 << 20, 256 << 10};
        return std::make_unique<Device>(std::move(spec), rules, 64, false, *bounce_, conditions_,
                                        dispatcher_, heldBack_);
    }

    Channel& mine() { return *channels_.mine(); }
    RequestEnd end() { return {channels_, aio_, &mine()}; }

    Request* request(IoOp op, uint64_t offset, uint64_t length, size_t number) {
        Request* const made = mine().memory().allocateRequest();
        made->channel = mine().number();
        // Reads that touch no memory, since nothing is done for real.
        void* const memory = op == IoOp::kWrite
                                 ? static_cast<void*>(bytes_)
                                 : reinterpret_cast<void*>(0x10000000 + number * 4 * kBlock);
        made->start(op, memory, offset, length, recorder_->context(number), false);
        return made;
    }
    /// Queues reads that follow each other on the device.
    void queueReads(size_t count) {
        RequestQueue requests;
        for (size_t i = 0; i < count; ++i) {
            requests.push(request(IoOp::kRead, i * kBlock, kBlock, i));
        }
        EXPECT_EQ(device_->enqueue(nullptr, requests, false), Enqueued::kDone);
        EXPECT_EQ(popReady(), device_.get());
    }

    /// The device that was announced, null where none was.
    Device* popReady() { return dispatcher_.pop(slot_); }

    /// Takes the turn that there must be, for one joined I/O that the kernel takes.
    Batch takeOne() {
        Batch batch;
        EXPECT_EQ(device_->take(1024, mine(), batch), Duty::kSubmit);
        EXPECT_EQ(batch.count, 1U);
        batch.operations[0]->asked = batch.operations[0]->length;
        batch.operations[0]->change(OperationState::kStarted, OperationState::kInKernel);
        return batch;
    }
    void complete(const Batch& batch, int64_t result) {
        RequestEnd ending = end();
        Completions completions;
        io::complete(*bounce_, *batch.operations[0], result, ending, completions);
        EXPECT_FALSE(device_->finish(completions, &mine(), false));
    }

    void close() {
        Batch none;
        EXPECT_EQ(popReady(), device_.get());
        EXPECT_EQ(device_->take(1024, mine(), none), Duty::kClose);
        device_->close();
    }

    char bytes_[kBlock] = {};
    FakeAio aio_;
    Conditions conditions_;
    Channels channels_{aio_};
    Dispatcher dispatcher_{aio_, conditions_};
    HeldBack heldBack_{aio_, channels_, dispatcher_};
    Channel slotChannel_{0, true};
    Dispatcher::Slot slot_{slotChannel_, Lane::kCommon, 0};
    std::shared_ptr<Recorder> recorder_;
    std::unique_ptr<BouncePool> bounce_;
    std::unique_ptr<Device> device_;
};

// Case 40: who is still in io_submit uses the descriptor, also when the I/O has ended by then.
TEST_F(DeviceTest, IsNotClosedWhileAWorkerSubmits) {
    queueReads(2);
    const Batch batch = takeOne();
    device_->shut();
    complete(batch, 2 * kBlock);
    EXPECT_EQ(recorder_->endedCount(), 2U);
    EXPECT_EQ(popReady(), nullptr) << "closed under the hands of who submits";
    device_->endTurn(batch, 1, Turn::kWell);
    close();
}

// The same for threads that submit side by side: their places keep it open.
TEST_F(DeviceTest, IsNotClosedWhileAThreadHasPlaces) {
    const InFlight::Places places = device_->reserve(3);
    ASSERT_EQ(places.count, 3U);
    device_->shut();
    EXPECT_EQ(popReady(), nullptr);
    EXPECT_EQ(device_->reserve(1).count, 0U);
    device_->giveBack(places);
    close();
}

TEST_F(DeviceTest, ShutTakesNothing) {
    device_->shut();
    RequestQueue requests;
    requests.push(request(IoOp::kRead, 0, kBlock, 0));
    EXPECT_EQ(device_->enqueue(nullptr, requests, false), Enqueued::kShut);
    RequestEnd ending = end();
    cancel(*device_, nullptr, requests, ending);
    EXPECT_EQ(recorder_->error(0), ECANCELED);
    close();
}

TEST_F(DeviceTest, TellsHowLongTheKernelHasHadItsIo) {
    constexpr std::chrono::milliseconds kStep{250};
    auto now = std::chrono::steady_clock::now();
    const auto sample = [&] { return device_->sample(now += kStep); };
    queueReads(2);
    EXPECT_EQ(sample().oldest.count(), 0);
    EXPECT_EQ(sample().oldest.count(), 0) << "it only waits to be submitted";
    EXPECT_GT(sample().activity.outstanding, 0U);
    const Batch batch = takeOne();
    device_->endTurn(batch, 1, Turn::kWell);
    EXPECT_EQ(sample().oldest.count(), 0);
    EXPECT_EQ(sample().oldest, kStep);
    EXPECT_GT(device_->activity().outstanding, 0U);
    const uint64_t before = device_->activity().ended;
    complete(batch, 2 * kBlock);
    const IoDevice::Sample after = sample();
    EXPECT_EQ(after.oldest.count(), 0);
    EXPECT_NE(after.activity.ended, before);
    EXPECT_EQ(after.activity.outstanding, 0U);
    device_->shut();
    close();
}

// Who asks a question over the descriptor must not find another file under its number.
TEST_F(DeviceTest, ADescriptorInUseStaysOpen) {
    const auto descriptor = device_->descriptor();
    ASSERT_NE(descriptor, nullptr);
    device_->shut();
    close();
    EXPECT_EQ(device_->descriptor(), nullptr);
    EXPECT_EQ(descriptor.use_count(), 1);
}

// Case 40: what is to be tried again, piece by piece, ends with the device.
TEST_F(DeviceTest, RetriesEndWithTheDevice) {
    queueReads(4);
    const Batch batch = takeOne();
    complete(batch, -EIO);
    EXPECT_EQ(recorder_->endedCount(), 0U);
    device_->endTurn(batch, 1, Turn::kWell);
    device_->shut();
    EXPECT_EQ(popReady(), device_.get());
    Batch none;
    ASSERT_EQ(device_->take(1024, mine(), none), Duty::kCancel);
    RequestEnd ending = end();
    cancelQueued(*device_, ending);
    EXPECT_EQ(recorder_->endedCount(), 4U);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(recorder_->error(i), ECANCELED);
    EXPECT_TRUE(recorder_->eachOnce());
    EXPECT_EQ(popReady(), nullptr) << "somebody is at it";
    device_->endTurn(none, 0, Turn::kWell);
    close();
}

// Two openings of a namespace: the blocks are the same.
TEST_F(DeviceTest, OpeningsThatShareAGuardTakeTurns) {
    const auto guard = makeWriteGuard();
    auto others = std::make_shared<Recorder>(1);
    device_ = make(recorder_, guard);
    const auto other = make(others, guard);
    RequestQueue first;
    first.push(request(IoOp::kWrite, 8, 8, 0));
    ASSERT_EQ(device_->enqueue(nullptr, first, false), Enqueued::kDone);
    ASSERT_EQ(popReady(), device_.get());
    const Batch batch = takeOne();
    device_->endTurn(batch, 1, Turn::kWell);

    Request* const second = request(IoOp::kWrite, 512, 8, 1);
    second->context = others->context(0);
    RequestQueue requests;
    requests.push(second);
    ASSERT_EQ(other->enqueue(nullptr, requests, false), Enqueued::kDone);
    ASSERT_EQ(popReady(), other.get());
    Batch none;
    EXPECT_EQ(other->take(1024, mine(), none), Duty::kNone) << "the block is being merged";

    complete(batch, kBlock);  // the read of the block
    ASSERT_EQ(popReady(), device_.get());
    EXPECT_EQ(other->take(1024, mine(), none), Duty::kNone);
    const Batch write = takeOne();
    device_->endTurn(write, 1, Turn::kWell);
    complete(write, kBlock);
    EXPECT_EQ(recorder_->error(0), 0);
    ASSERT_EQ(popReady(), other.get()) << "now it is its turn";

    other->shut();
    Batch taken;
    ASSERT_EQ(other->take(1024, mine(), taken), Duty::kCancel);
    RequestEnd ending = end();
    cancelQueued(*other, ending);
    EXPECT_EQ(others->error(0), ECANCELED);
    other->endTurn(taken, 0, Turn::kWell);
    ASSERT_EQ(popReady(), other.get());
    ASSERT_EQ(other->take(1024, mine(), taken), Duty::kClose);
    other->close();
    device_->shut();
    close();
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
