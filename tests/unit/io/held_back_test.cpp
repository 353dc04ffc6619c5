// SPDX-License-Identifier: Apache-2.0
// Writes that the kernel may have repeated over another path, and whose first copies may still
// come.
#include "held_back.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>

#include "completion.h"
#include "device.h"
#include "dispatcher.h"
#include "pool_fixture.h"
#include "progress.h"

namespace mooncake::nvmeof_generic::io {
namespace {

using namespace std::chrono_literals;

class NobodyServes final : public DeviceServer {
 public:
    void serve(Device&, Channel&) override {}
};

class HeldBackTest : public ::testing::Test {
 protected:
    static constexpr size_t kRequests = 3;

    HeldBackTest() {
        IoDeviceSpec spec{UniqueFd(), "device", 1ULL << 40, kBlock, recorder_};
        spec.lossWithCopies = [this] {
            ++looks_;
            return loss_;
        };
        const PlanRules rules{DirectIo::kAuto, kBlock, 512, 1 << 20, 256 << 10};
        device_ = std::make_unique<Device>(std::move(spec), rules, 64, false, *bounce_, conditions_,
                                           dispatcher_, heldBack_);
    }

    /// Has the kernel take one.
    Operation* begin(IoOp op, size_t number) {
        Channel& mine = *channels_.mine();
        Request* const request = mine.memory().allocateRequest();
        request->channel = mine.number();
        request->start(op, bytes_, number * 4 * kBlock, kBlock, recorder_->context(number), false);
        RequestQueue requests;
        requests.push(request);
        EXPECT_EQ(device_->enqueue(nullptr, requests, false), Enqueued::kDone);
        Batch batch;
        EXPECT_EQ(device_->take(1024, mine, batch), Duty::kSubmit);
        Operation* const operation = batch.operations[0];
        operation->asked = operation->length;
        operation->change(OperationState::kStarted, OperationState::kInKernel);
        device_->endTurn(batch, 1, Turn::kWell);
        return operation;
    }
    /// The kernel has moved all of it.
    void complete(Operation* operation) {
        Channel& mine = *channels_.mine();
        RequestEnd end(channels_, aio_, &mine);
        Completions completions;
        io::complete(*bounce_, *operation, kBlock, end, completions);
        device_->finish(completions, &mine, false);
    }
    void nextRound() { ++conditions_.tick; }
    void look(HeldBack::Clock::duration later = 0s) {
        nextRound();
        heldBack_.look(progress_, HeldBack::Clock::now() + later);
    }

    uint64_t loss_ = 0;
    size_t looks_ = 0;
    char bytes_[kBlock] = {};
    FakeAio aio_;
    Conditions conditions_;
    Channels channels_{aio_};
    Dispatcher dispatcher_{aio_, conditions_};
    HeldBack heldBack_{aio_, channels_, dispatcher_};
    NobodyServes server_;
    std::unique_ptr<BouncePool> bounce_ = BouncePool::create(1 << 20).take();
    Progress progress_{aio_, conditions_, *bounce_, channels_, server_};
    std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>(kRequests);
    std::unique_ptr<Device> device_;
};

// The usual way: nobody looks at the paths.
TEST_F(HeldBackTest, AWriteThatEndsSoonIsNotLookedAt) {
    loss_ = 1;
    complete(begin(IoOp::kWrite, 0));
    EXPECT_EQ(recorder_->error(0), 0);
    EXPECT_EQ(looks_, 0u);
}

TEST_F(HeldBackTest, ALongOneEndsWhereNoPathIsLost) {
    Operation* const write = begin(IoOp::kWrite, 0);
    nextRound();
    complete(write);
    EXPECT_EQ(recorder_->error(0), 0);
    EXPECT_EQ(looks_, 1u);
    EXPECT_TRUE(heldBack_.empty());
}

TEST_F(HeldBackTest, ItWaitsUntilTheLossIsOver) {
    Operation* const write = begin(IoOp::kWrite, 0);
    nextRound();
    loss_ = 1;
    complete(write);
    look();
    EXPECT_FALSE(recorder_->ended(0));
    EXPECT_FALSE(heldBack_.empty());
    EXPECT_EQ(device_->inFlight(), 1u);
    loss_ = 0;
    look();
    EXPECT_TRUE(heldBack_.empty());
    EXPECT_EQ(recorder_->error(0), 0);
    EXPECT_EQ(recorder_->bytes(0), kBlock);
    EXPECT_EQ(device_->inFlight(), 0u);
}

TEST_F(HeldBackTest, ForARoundWhileAnotherThreadLooks) {
    Operation* const write = begin(IoOp::kWrite, 0);
    nextRound();
    loss_ = IoDeviceSpec::kLossNotKnownYet;
    complete(write);
    EXPECT_FALSE(recorder_->ended(0));
    // What is not known is no loss that a write could be younger than.
    nextRound();
    Operation* const younger = begin(IoOp::kWrite, 1);
    nextRound();
    complete(younger);
    EXPECT_FALSE(recorder_->ended(1));
    loss_ = 0;
    look();
    EXPECT_EQ(recorder_->error(0), 0);
    EXPECT_EQ(recorder_->error(1), 0);
    EXPECT_TRUE(heldBack_.empty());
}

TEST_F(HeldBackTest, AReadDoesNotWait) {
    Operation* const read = begin(IoOp::kRead, 0);
    nextRound();
    loss_ = 1;
    complete(read);
    EXPECT_EQ(recorder_->error(0), 0);
}

// It never was on the path that is lost; unless another one is lost, too.
TEST_F(HeldBackTest, AWriteThatBeganAfterTheLossDoesNotWait) {
    Operation* const before = begin(IoOp::kWrite, 0);
    nextRound();
    loss_ = 1;
    complete(before);
    nextRound();
    Operation* const after = begin(IoOp::kWrite, 1);
    Operation* const onTheNext = begin(IoOp::kWrite, 2);
    nextRound();
    complete(after);
    EXPECT_FALSE(recorder_->ended(0));
    EXPECT_EQ(recorder_->error(1), 0);
    loss_ = 2;
    complete(onTheNext);
    EXPECT_FALSE(recorder_->ended(2));
    loss_ = 0;
    look();
    EXPECT_EQ(recorder_->error(0), 0);
    EXPECT_EQ(recorder_->error(2), 0);
    EXPECT_TRUE(recorder_->eachOnce());
}

TEST_F(HeldBackTest, ALossWithoutEndFailsIt) {
    Operation* const write = begin(IoOp::kWrite, 0);
    nextRound();
    loss_ = 1;
    complete(write);
    look(HeldBack::kLongest - 1s);
    EXPECT_FALSE(recorder_->ended(0));
    look(HeldBack::kLongest + 1s);
    EXPECT_TRUE(heldBack_.empty());
    EXPECT_EQ(recorder_->error(0), ETIMEDOUT);
    EXPECT_EQ(recorder_->bytes(0), 0u);
}

// Nobody but the monitor looks after what is held back, and it does not sleep meanwhile.
class PoolHoldsBack : public PoolFaults {};

TEST_F(PoolHoldsBack, UntilTheMonitorSeesTheEndOfTheLoss) {
    constexpr size_t kMostWrites = 14;
    std::atomic<uint64_t> loss{1};
    std::atomic<size_t> looks{0};
    // Longer and longer, until one has seen a round of the monitor.
    std::atomic<int> takes{0};
    aio_->onComplete = [&](const FakeAio::Io& io) {
        std::this_thread::sleep_for(1ms * (1 << takes++));
        return static_cast<int64_t>(io.length());
    };
    make();
    const auto recorder = std::make_shared<Recorder>(kMostWrites);
    IoDeviceSpec spec{openFor(*pool_, file_.path()), file_.path(), file_.size(), kBlock, recorder};
    spec.lossWithCopies = [&] {
        ++looks;
        return loss.load();
    };
    const auto device = pool_->addDevice(std::move(spec)).take();
    Memory memory(kBlock);
    size_t writes = 0;
    while (writes < kMostWrites && looks == 0) {
        const IoRequest write{IoOp::kWrite, memory.data(), 0, kBlock, recorder->context(writes)};
        pool_->submit(device, &write, 1);
        ++writes;
        while (!recorder->ended(writes - 1) && looks == 0) std::this_thread::sleep_for(1ms);
    }
    const size_t last = writes - 1;
    const size_t before = looks;
    ASSERT_NE(before, 0u);
    while (looks < before + 20) std::this_thread::sleep_for(1ms);
    EXPECT_FALSE(recorder->ended(last)) << "after so many looks";
    EXPECT_NE(device->activity().outstanding, 0u);
    loss = 0;
    ASSERT_TRUE(recorder->waitFor(writes));
    EXPECT_EQ(recorder->error(last), 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
