// SPDX-License-Identifier: Apache-2.0
// Transports and segments come and go while others use them.
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "driven_transport.h"
#include "multi_transport_fixture.h"

namespace mooncake::test {
namespace {

// Holds whoever waits for progress until it is told to let them go.
class HoldingTransport : public DrivenTransport {
 public:
    explicit HoldingTransport(Options options) : DrivenTransport(std::move(options)) {}
    bool waitForProgress(std::chrono::nanoseconds) override {
        entered.set_value();
        go_on.get_future().wait();
        return false;
    }
    std::promise<void> entered;
    std::promise<void> go_on;
};

// The destructor of a transport takes its time: never that of a thread that only asks.
TEST_F(MultiTransportTest, ATransportIsDestroyedByWhoUninstallsIt) {
    std::thread::id destroyer;
    FakeTransport::Options options;
    options.threads = 0;
    options.on_destroy = [&] { destroyer = std::this_thread::get_id(); };
    auto made = std::make_shared<HoldingTransport>(options);
    HoldingTransport& holding = *made;
    ASSERT_EQ(transports_->addTransport("holding", std::move(made), nullptr), 0);
    std::thread waiter([&] { transports_->waitForProgress(std::chrono::seconds(1)); });
    holding.entered.get_future().wait();
    std::atomic<int> rc{1};
    std::thread uninstaller([&] { rc = transports_->uninstallTransport("holding"); });
    const auto limit = steady_clock::now() + kLimit;
    while (transports_->getTransport("holding") != nullptr && steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_EQ(rc, 1);
    EXPECT_EQ(destroyer, std::thread::id());
    const std::thread::id expected = uninstaller.get_id();
    holding.go_on.set_value();
    waiter.join();
    uninstaller.join();
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(destroyer, expected);
}

// A thread may be held up in a transport for as long as a page of its memory takes to come.
TEST_F(MultiTransportTest, OnlyWhoUninstallsATransportWaitsForItsCallers) {
    std::promise<void> entered;
    std::promise<void> go_on;
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) {
        entered.set_value();
        go_on.get_future().wait();
        return Status::OK();
    };
    add(1, "held", options);
    const auto batch = transports_->allocateBatchID(1);
    std::thread held([&] { EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok()); });
    entered.get_future().wait();
    for (int i = 2; i < 100; ++i) {
        // Transports come, and segments are used for the first time.
        const std::string proto = "fake" + std::to_string((i - 2) / 10);
        if ((i - 2) % 10 == 0) {
            add(i, proto);
        } else {
            addSegment(i, proto);
        }
        const auto other = transports_->allocateBatchID(2);
        EXPECT_TRUE(transports_->submitTransfer(other, {write(i, 10), write(2, 5)}).ok());
        EXPECT_EQ(waitForBatch(other).transferred_bytes, 15u);
        EXPECT_TRUE(transports_->freeBatchID(other).ok());
    }
    go_on.set_value();
    held.join();
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// What is remembered of a segment is not to outlive it.
TEST_F(MultiTransportTest, ASegmentThatChangesIsLookedUpAgain) {
    add(1, "a");
    add(2, "b");
    const auto submit = [&](Transport::SegmentID segment) {
        const auto batch = transports_->allocateBatchID(1);
        Status status = transports_->submitTransfer(batch, {write(segment, 10)});
        if (status.ok()) {
            EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
        }
        EXPECT_TRUE(transports_->freeBatchID(batch).ok());
        return status;
    };
    EXPECT_TRUE(submit(1).ok());
    EXPECT_TRUE(submit(2).ok());
    // Removed.
    ASSERT_EQ(metadata_->removeLocalSegment("segment1"), 0);
    EXPECT_TRUE(submit(1).IsInvalidArgument());
    EXPECT_TRUE(submit(2).ok());
    // There again, with another protocol.
    addSegment(1, "b");
    ASSERT_EQ(transports_->uninstallTransport("a"), 0);
    EXPECT_TRUE(submit(1).ok());
    // Its transport goes, and comes back as another instance.
    ASSERT_EQ(transports_->uninstallTransport("b"), 0);
    EXPECT_TRUE(submit(1).IsNotSupportedTransport());
    EXPECT_TRUE(submit(2).IsNotSupportedTransport());
    add(2, "b");
    EXPECT_TRUE(submit(1).ok());
    EXPECT_TRUE(submit(2).ok());
}

// The store's answer changes what a handle means.
TEST_F(MultiTransportTest, AFetchedDescriptorOfAnotherProtocolIsFollowed) {
    TransferMetadata node(storage_);
    const auto publish = [&](const char* protocol) {
        TransferMetadata::SegmentDesc desc;
        desc.name = "far";
        desc.protocol = protocol;
        ASSERT_EQ(node.updateSegmentDesc("far", desc), 0);
    };
    publish("a");
    const auto segment = metadata_->getSegmentID("far");
    ASSERT_NE(segment, TransferMetadata::kInvalidSegmentID);
    std::atomic<int> with_a{0};
    std::atomic<int> with_b{0};
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) { return ++with_a, Status::OK(); };
    add(100, "a", options);
    options.before_submit = [&](const auto&) { return ++with_b, Status::OK(); };
    add(101, "b", options);
    const auto batch = transports_->allocateBatchID(3);
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(segment, 1)}).ok());
    EXPECT_EQ(with_a, 1);
    publish("b");
    ASSERT_EQ(metadata_->syncSegmentCache("far"), 0);
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(segment, 1)}).ok());
    EXPECT_EQ(with_a, 1);
    EXPECT_EQ(with_b, 1);
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// Case 44: transports and segments come and go while others submit.
TEST_F(MultiTransportTest, TransportsComeAndGoBesideSubmitters) {
    add(1, "stays");
    addSegment(2, "comes");
    std::atomic<bool> done{false};
    std::atomic<uint64_t> served{0};
    const auto use = [&] {
        do {
            const auto batch = transports_->allocateBatchID(2);
            const Status status = transports_->submitTransfer(batch, {write(1, 10), write(2, 20)});
            EXPECT_TRUE(status.ok() || status.IsNotSupportedTransport() ||
                        status.IsInvalidArgument())
                << status;
            const TransferStatus all = waitForBatch(batch);
            transports_->waitForProgress(std::chrono::nanoseconds(0));
            if (status.ok() && all.s == Transport::COMPLETED) {
                EXPECT_EQ(all.transferred_bytes, 30u);
                ++served;
            }
            EXPECT_TRUE(transports_->freeBatchID(batch).ok());
        } while (!done);
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(use);
    for (int i = 0; i < 100 || (served == 0 && i < 1000000); ++i) {
        EXPECT_EQ(
            transports_->addTransport(
                "comes", std::make_shared<DrivenTransport>(FakeTransport::Options{}), nullptr),
            0);
        addSegment(2, "comes");
        if (i % 2 == 0) metadata_->removeLocalSegment("segment2");
        std::this_thread::yield();
        EXPECT_EQ(transports_->uninstallTransport("comes"), 0);
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
}

// Case 40, the engine's part: an uninstalled transport has ended every request, also those being
// submitted.
TEST_F(MultiTransportTest, UninstallReturnsWhenEveryRequestHasEnded) {
    std::promise<void> entered;
    std::promise<void> go_on;
    std::atomic<bool> destroyed{false};
    FakeTransport::Options options;
    options.threads = 0;
    options.before_submit = [&](const std::vector<Transport::TransferTask*>& tasks) {
        if (tasks.size() == 2) {
            entered.set_value();
            go_on.get_future().wait();
        }
        return Status::OK();
    };
    options.on_destroy = [&] { destroyed = true; };
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(3);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    auto submitted = std::async(std::launch::async, [&] {
        return transports_->submitTransfer(batch, {write(1, 10), write(1, 10)});
    });
    entered.get_future().wait();
    auto uninstalled =
        std::async(std::launch::async, [&] { return transports_->uninstallTransport("fake"); });
    // Once it is out of the map, uninstall waits for the submission.
    const auto limit = steady_clock::now() + kLimit;
    while (transports_->getTransport("fake") != nullptr && steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).IsNotSupportedTransport());
    EXPECT_FALSE(destroyed);
    // Not a limit: without the wait it returns at once.
    EXPECT_EQ(uninstalled.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    go_on.set_value();
    EXPECT_EQ(uninstalled.get(), 0);
    EXPECT_TRUE(destroyed);
    EXPECT_TRUE(submitted.get().ok());
    TransferStatus all{};
    ASSERT_TRUE(transports_->getBatchTransferStatus(batch, all).ok());
    EXPECT_EQ(all.s, Transport::FAILED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
    EXPECT_EQ(transports_->uninstallTransport("fake"), ERR_INVALID_ARGUMENT);
}

TEST_F(MultiTransportTest, InstallsOncePerProtocolAndAgainAfterUninstall) {
    FakeTransport* first = add(1, "fake");
    EXPECT_EQ(transports_->getTransport("fake"), first);
    std::atomic<bool> destroyed{false};
    FakeTransport::Options options;
    options.on_destroy = [&] { destroyed = true; };
    EXPECT_EQ(transports_->addTransport("fake", std::make_shared<FakeTransport>(options), nullptr),
              ERR_INVALID_ARGUMENT);
    EXPECT_TRUE(destroyed);
    EXPECT_EQ(transports_->installTransportWithArgs("fake", nullptr), first);
    EXPECT_EQ(transports_->uninstallTransport("fake"), 0);
    EXPECT_EQ(transports_->getTransport("fake"), nullptr);
    EXPECT_TRUE(transports_->listTransports().empty());
    EXPECT_NE(add(1, "fake"), nullptr);
    EXPECT_EQ(transports_->listTransports().size(), 1u);
}

TEST_F(MultiTransportTest, ATransportThatFailsToInstallIsDestroyed) {
    std::atomic<bool> destroyed{false};
    FakeTransport::Options options;
    options.install_result = ERR_CONTEXT;
    options.on_destroy = [&] { destroyed = true; };
    EXPECT_EQ(transports_->addTransport("fake", std::make_shared<FakeTransport>(options), nullptr),
              ERR_CONTEXT);
    EXPECT_TRUE(destroyed);
    EXPECT_EQ(transports_->getTransport("fake"), nullptr);
}

TEST_F(MultiTransportTest, AfterShutdownBatchesCanOnlyBePolledAndFreed) {
    FakeTransport::Options options;
    options.threads = 0;
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(2);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    transports_->shutdown();
    EXPECT_EQ(statusOf(batch, 0).s, Transport::FAILED);
    EXPECT_FALSE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    EXPECT_EQ(transports_->allocateBatchID(1), Transport::INVALID_BATCH_ID);
    EXPECT_EQ(transports_->addTransport("fake", std::make_shared<FakeTransport>(options), nullptr),
              ERR_INVALID_ARGUMENT);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

}  // namespace
}  // namespace mooncake::test
