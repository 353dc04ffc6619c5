// SPDX-License-Identifier: Apache-2.0
#include "open_files.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

struct FakeDevice : IoDevice {
    Activity activity() const override { return now; }
    Sample sample() override { return {now, oldest}; }
    std::shared_ptr<const UniqueFd> descriptor() const override { return fd; }
    Activity now{0, 0};
    uint32_t oldest = 0;
    std::shared_ptr<const UniqueFd> fd = std::make_shared<const UniqueFd>();
};

struct NoListener : IoListener {
    void onIoDone(void*, int, uint64_t) noexcept override {}
};

struct OpenFilesTest : ::testing::Test {
    std::shared_ptr<FakeDevice> open(uint32_t id, size_t outstanding, uint64_t ended) {
        auto device = std::make_shared<FakeDevice>();
        device->now = {outstanding, ended};
        listener = std::make_shared<NoListener>();
        files.add(id, 10 * id, listener, device);
        return device;
    }
    OpenFiles files;
    std::shared_ptr<NoListener> listener;  // of the last one
};

TEST_F(OpenFilesTest, AFileIsFoundWhileItIsOpen) {
    EXPECT_EQ(files.device(1), nullptr);
    const auto device = open(1, 0, 0);
    EXPECT_EQ(files.device(1), device);
    EXPECT_EQ(files.takeOut(1, listener.get()), device);
    EXPECT_EQ(files.device(1), nullptr);
}

// An error of the old device must not close the new one.
TEST_F(OpenFilesTest, AnotherOpeningIsLeftAlone) {
    open(1, 0, 0);
    const auto old = listener;
    files.takeOut(1, old.get());
    const auto device = open(1, 0, 0);
    EXPECT_EQ(files.takeOut(1, old.get()), nullptr);
    EXPECT_EQ(files.takeOut(2, old.get()), nullptr);
    EXPECT_EQ(files.device(1), device);
}

TEST_F(OpenFilesTest, AllButTheListedAreTakenOut) {
    const auto first = open(1, 0, 0);
    const auto second = open(2, 0, 0);
    const auto keepSecond = [](uint32_t id, uint32_t nsid) { return id == 2 && nsid == 20; };
    EXPECT_EQ(files.takeOutAllBut(keepSecond), OpenFiles::Devices{first});
    EXPECT_EQ(files.device(1), nullptr);
    EXPECT_EQ(files.device(2), second);
    const auto keepNone = [](uint32_t, uint32_t) { return false; };
    EXPECT_EQ(files.takeOutAllBut(keepNone), OpenFiles::Devices{second});
}

// A device that is being closed counts until the kernel has given back what it had of it.
TEST_F(OpenFilesTest, ActivityIsOfTheOpenAndTheClosing) {
    open(1, 1, 10);
    const auto closing = open(2, 2, 20);
    files.takeOut(2, listener.get());
    auto activity = files.activity();
    EXPECT_EQ(activity.outstanding, 3u);
    EXPECT_EQ(activity.ended, 30u);

    closing->now = {0, 22};
    activity = files.activity();
    EXPECT_EQ(activity.outstanding, 1u);
    EXPECT_EQ(activity.ended, 32u);
    EXPECT_EQ(closing.use_count(), 1);  // forgotten
    EXPECT_EQ(files.activity().ended, 10u);
}

TEST_F(OpenFilesTest, TheOldestIoOfAllCounts) {
    open(1, 1, 10)->oldest = 3;
    const auto closing = open(2, 2, 20);
    closing->oldest = 5;
    files.takeOut(2, listener.get());
    const IoDevice::Sample sample = files.sample();
    EXPECT_EQ(sample.oldest, 5u);
    EXPECT_EQ(sample.activity.outstanding, 3u);
    EXPECT_EQ(sample.activity.ended, 30u);
}

// One that is closing may be of an earlier connection.
TEST_F(OpenFilesTest, ADescriptorIsThatOfAnOpenFile) {
    const auto gone = open(1, 1, 10);
    files.takeOut(1, listener.get());
    EXPECT_EQ(files.anyDescriptor(), nullptr);
    const auto device = open(2, 0, 0);
    EXPECT_EQ(files.anyDescriptor(), device->fd);
}

TEST_F(OpenFilesTest, WhatWasTakenOutWithOthersCountsToo) {
    open(1, 1, 10);
    files.takeOutAllBut([](uint32_t, uint32_t) { return false; });
    EXPECT_EQ(files.activity().outstanding, 1u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
