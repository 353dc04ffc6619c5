// SPDX-License-Identifier: Apache-2.0
// The end of a device, step by step: the tests of the pool cannot hold it at each of them.
#include "device.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "bounce_pool.h"
#include "completion.h"
#include "conditions.h"
#include "io_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint32_t kBlock = 4096;

class DeviceTest : public ::testing::Test {
 protected:
    explicit DeviceTest(size_t requests = 4)
        : recorder_(std::make_shared<Recorder>(requests)),
          bounce_(BouncePool::create(1 << 20).take()),
          device_(std::make_unique<Device>(
              IoDeviceSpec{UniqueFd(), "device", 1ULL << 40, kBlock, recorder_},
              PlanRules{DirectIo::kAuto, kBlock, 512, 1 << 20, 256 << 10}, 64, false, *bounce_,
              conditions_)) {}

    /// Reads that follow each other on the device.
    std::vector<IoRequest> reads(size_t count) {
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < count; ++i) {
            requests.push_back({IoOp::kRead, reinterpret_cast<void*>(0x10000000 + i * 2 * kBlock),
                                i * kBlock, kBlock, recorder_->context(i)});
        }
        return requests;
    }

    /// Takes the turn that there must be, for one joined I/O.
    Batch takeOne() {
        Batch batch;
        EXPECT_EQ(device_->take(1024, batch), Duty::kSubmit);
        EXPECT_EQ(batch.count, 1U);
        batch.operations[0]->asked = batch.operations[0]->length;
        return batch;
    }

    void close() {
        Batch none;
        EXPECT_EQ(device_->take(1024, none), Duty::kClose);
        device_->close();
    }

    std::shared_ptr<Recorder> recorder_;
    std::unique_ptr<BouncePool> bounce_;
    Conditions conditions_;
    std::unique_ptr<Device> device_;
    Harvest harvest_;
};

// Case 40: who is still in io_submit uses the descriptor, also when the I/O has ended by then.
TEST_F(DeviceTest, IsNotClosedWhileSomebodySubmits) {
    const auto requests = reads(2);
    EXPECT_TRUE(device_->admit(requests.data(), 2).ready);
    const Batch batch = takeOne();
    EXPECT_FALSE(device_->shut());
    complete(*bounce_, *batch.operations[0], 2 * kBlock, harvest_);
    EXPECT_FALSE(device_->gather(harvest_)) << "closed under the hands of who submits";
    EXPECT_EQ(recorder_->endedCount(), 2U);
    EXPECT_TRUE(device_->endTurn(batch, 1, Turn::kWell));
    close();
}

TEST_F(DeviceTest, TellsHowLongTheKernelHasHadItsIo) {
    const auto requests = reads(2);
    EXPECT_TRUE(device_->admit(requests.data(), 2).ready);
    EXPECT_EQ(device_->sample().oldest, 0U);
    EXPECT_EQ(device_->sample().oldest, 0U) << "it only waits to be submitted";
    const Batch batch = takeOne();
    EXPECT_FALSE(device_->endTurn(batch, 1, Turn::kWell));
    EXPECT_EQ(device_->sample().oldest, 0U);
    EXPECT_EQ(device_->sample().oldest, 1U);
    complete(*bounce_, *batch.operations[0], 2 * kBlock, harvest_);
    EXPECT_FALSE(device_->gather(harvest_));
    const IoDevice::Sample after = device_->sample();
    EXPECT_EQ(after.oldest, 0U);
    EXPECT_EQ(after.activity.ended, 2U);
    EXPECT_TRUE(device_->shut());
    close();
}

// Who asks a question over the descriptor must not find another file under its number.
TEST_F(DeviceTest, ADescriptorInUseStaysOpen) {
    const auto descriptor = device_->descriptor();
    ASSERT_NE(descriptor, nullptr);
    EXPECT_TRUE(device_->shut());
    close();
    EXPECT_EQ(device_->descriptor(), nullptr);
    EXPECT_EQ(descriptor.use_count(), 1);
}

// Case 40: what is to be tried again, piece by piece, ends with the device.
TEST_F(DeviceTest, RetriesEndWithTheDevice) {
    const auto requests = reads(4);
    EXPECT_TRUE(device_->admit(requests.data(), 4).ready);
    const Batch batch = takeOne();
    complete(*bounce_, *batch.operations[0], -EIO, harvest_);
    EXPECT_FALSE(device_->endTurn(batch, 1, Turn::kWell));
    EXPECT_TRUE(device_->gather(harvest_));
    EXPECT_EQ(recorder_->endedCount(), 0U);

    EXPECT_FALSE(device_->shut()) << "it is announced already";
    Batch none;
    ASSERT_EQ(device_->take(1024, none), Duty::kCancel);
    cancelQueued(*device_, harvest_);
    EXPECT_EQ(recorder_->endedCount(), 4U);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(recorder_->error(i), ECANCELED);
    EXPECT_TRUE(recorder_->eachOnce());
    EXPECT_FALSE(device_->gather(harvest_)) << "somebody is at it";
    EXPECT_TRUE(device_->endTurn(none, 0, Turn::kWell));
    close();
}

// Case 43: a device that has had a hundred thousand requests outstanding does not keep their
// memory.
class DeviceWithMany : public DeviceTest {
 protected:
    static constexpr size_t kMany = 100'000;
    DeviceWithMany() : DeviceTest(kMany) {}

    static size_t used() {
        const auto info = mallinfo2();
        return info.uordblks + info.hblkhd;
    }
};

TEST_F(DeviceWithMany, GivesMemoryBackWhenItIsIdle) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer has a heap of its own";
#endif
    const auto requests = reads(kMany);
    const size_t before = used();
    EXPECT_TRUE(device_->admit(requests.data(), kMany).ready);
    EXPECT_GT(used() - before, kMany * 32);
    device_->trim();
    EXPECT_GT(used() - before, kMany * 32) << "they are in use";
    device_->shut();
    Batch none;
    ASSERT_EQ(device_->take(1024, none), Duty::kCancel);
    cancelQueued(*device_, harvest_);
    device_->gather(harvest_);
    EXPECT_EQ(recorder_->endedCount(), kMany);
    // Once for the use that there was, once for none since.
    device_->trim();
    device_->trim();
    EXPECT_LT(used() - before, kMany);
    EXPECT_TRUE(device_->endTurn(none, 0, Turn::kWell));
    close();
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
