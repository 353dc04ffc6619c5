// SPDX-License-Identifier: Apache-2.0
#include "remote_segment.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

constexpr auto kLimit = 20s;

struct FakeConnection : Connection {
    FakeConnection(std::string n, std::atomic<int>& l) : nqn(std::move(n)), live(l) { ++live; }
    ~FakeConnection() override { --live; }
    const std::string& subsystemNqn() const override { return nqn; }
    std::string nqn;
    std::atomic<int>& live;
};

// An initiator whose world the test arranges.
class FakeInitiator : public Initiator {
 public:
    Result<std::shared_ptr<Connection>> connect(const TransportAddress&,
                                                const std::string& nqn) override {
        std::unique_lock lock(mutex);
        ++connects;
        changed.notify_all();
        changed.wait(lock, [&] { return !connectBlocks; });
        if (connectError != 0) return makeError(connectError, "connect");
        auto& known = connections[nqn];
        if (auto alive = known.lock()) return std::shared_ptr<Connection>(alive);
        auto made = std::make_shared<FakeConnection>(nqn, live);
        known = made;
        return std::shared_ptr<Connection>(made);
    }

    Result<RemoteNamespace> openNamespace(const Connection& connection, uint32_t nsid,
                                          uint64_t size, int,
                                          std::chrono::steady_clock::time_point) override {
        std::lock_guard lock(mutex);
        ++opens;
        changed.notify_all();
        if (const auto error = openErrors.find(nsid); error != openErrors.end()) {
            return makeError(error->second, "open");
        }
        return RemoteNamespace{UniqueFd(), connection.subsystemNqn(), size, 4096};
    }

    template <class Condition>
    bool waitFor(Condition condition) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, kLimit, condition);
    }
    template <class Change>
    void change(Change what) {
        std::lock_guard lock(mutex);
        what();
        changed.notify_all();
    }

    std::mutex mutex;
    std::condition_variable changed;
    bool connectBlocks = false;
    int connectError = 0;
    int connects = 0;
    int opens = 0;
    std::map<uint32_t, int> openErrors;
    std::map<std::string, std::weak_ptr<FakeConnection>> connections;
    std::atomic<int> live{0};
};

struct FakeDevice : IoDevice {
    explicit FakeDevice(IoDeviceSpec s) : spec(std::move(s)) {}
    IoDeviceSpec spec;
    bool closed = false;
};

// A pool that ends each request at once, with the error that the test sets for its device's
// connection.
class FakePool : public IoPool {
 public:
    int openFlags() const override { return 0; }
    Result<std::shared_ptr<IoDevice>> addDevice(IoDeviceSpec spec) override {
        std::lock_guard lock(mutex);
        devices.push_back(std::make_shared<FakeDevice>(std::move(spec)));
        return std::shared_ptr<IoDevice>(devices.back());
    }
    void submit(const std::shared_ptr<IoDevice>& opened, const IoRequest* requests,
                size_t count) override {
        const auto device = std::static_pointer_cast<FakeDevice>(opened);
        for (size_t i = 0; i < count; ++i) {
            int error = 0;
            {
                std::lock_guard lock(mutex);
                if (device->closed) error = ECANCELED;
                for (const auto& [name, e] : errors) {
                    if (device->spec.name.find(name) != std::string::npos) error = e;
                }
            }
            device->spec.listener->onIoDone(requests[i].context, error,
                                            error ? 0 : requests[i].length);
        }
    }
    void closeDevice(const std::shared_ptr<IoDevice>& device) override {
        std::lock_guard lock(mutex);
        std::static_pointer_cast<FakeDevice>(device)->closed = true;
    }

    std::mutex mutex;
    std::map<std::string, int> errors;
    std::vector<std::shared_ptr<FakeDevice>> devices;
};

class RemoteSegmentTest : public ::testing::Test {
 protected:
    // What became of one request.
    struct Ended {
        int times = 0;
        int error = -1;
    };

    void start(std::chrono::milliseconds patience = kLimit) {
        descriptor.address = {"tcp", "ipv4", "192.0.2.1", "4420"};
        descriptor.subsystemNqn = "nqn.2026-01.org.example:first";
        descriptor.fileSizes = {{1, 1 << 20}, {2, 1 << 20}};
        RemoteSegmentContext context;
        context.describe = [this](bool fresh) -> Result<RemoteDescriptor> {
            std::lock_guard lock(mutex);
            ++(fresh ? freshLooks : cachedLooks);
            if (describeError != 0) return makeError(describeError, "describe");
            if (!fresh && cached) return *cached;
            return descriptor;
        };
        context.initiator = &initiator;
        context.pool = &pool;
        context.patience = patience;
        context.ended = [this](void* request, int error, uint64_t) {
            std::lock_guard lock(mutex);
            auto& ended = *static_cast<Ended*>(request);
            ++ended.times;
            ended.error = error;
            changed.notify_all();
        };
        segment = std::make_unique<RemoteSegment>("segment", std::move(context));
    }

    void submit(uint32_t fileId, Ended& ended) {
        const IoRequest request{IoOp::kRead, this, 0, 4096, &ended};
        segment->submit(fileId, &request, 1);
    }
    // The request's errno value, or -1 when it did not end.
    int wait(Ended& ended) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, kLimit, [&] { return ended.times > 0; });
        EXPECT_EQ(ended.times, 1);
        return ended.error;
    }
    int run(uint32_t fileId) {
        Ended ended;
        submit(fileId, ended);
        return wait(ended);
    }
    // Submits until a request ends with `error`.
    bool runUntil(uint32_t fileId, int error) {
        const auto limit = std::chrono::steady_clock::now() + kLimit;
        while (std::chrono::steady_clock::now() < limit) {
            if (run(fileId) == error) return true;
        }
        return false;
    }

    std::mutex mutex;
    std::condition_variable changed;
    RemoteDescriptor descriptor;
    std::optional<RemoteDescriptor> cached;
    int describeError = 0;
    int freshLooks = 0;
    int cachedLooks = 0;
    FakeInitiator initiator;
    FakePool pool;
    std::unique_ptr<RemoteSegment> segment;
};

TEST_F(RemoteSegmentTest, ConnectsOnceAndOpensEachFileOnce) {
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
    EXPECT_EQ(initiator.opens, 2);
    EXPECT_EQ(initiator.live, 1);
    EXPECT_EQ(freshLooks, 0);
    segment.reset();
    EXPECT_EQ(initiator.live, 0);
}

TEST_F(RemoteSegmentTest, DoesNothingBeforeTheFirstRequest) {
    start();
    segment.reset();
    EXPECT_EQ(cachedLooks + freshLooks + initiator.connects, 0);
}

// Decision 4: the caller comes back while the connect goes on, and the requests wait.
TEST_F(RemoteSegmentTest, RequestsWaitForTheConnection) {
    initiator.connectBlocks = true;
    start();
    std::vector<Ended> ended(1000);
    for (Ended& one : ended) submit(1, one);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.connects == 1; }));
    {
        std::lock_guard lock(mutex);
        for (const Ended& one : ended) EXPECT_EQ(one.times, 0);
    }
    initiator.change([&] { initiator.connectBlocks = false; });
    for (Ended& one : ended) EXPECT_EQ(wait(one), 0);
}

TEST_F(RemoteSegmentTest, RequestsEndWhenTheirTimeIsUp) {
    initiator.connectError = ECONNREFUSED;
    start(300ms);
    const int error = run(1);
    EXPECT_TRUE(error == ETIMEDOUT || error == ECONNREFUSED) << error;
    // A target that has been away for long is tried again all the same.
    initiator.change([&] { initiator.connectError = 0; });
    EXPECT_TRUE(runUntil(1, 0));
}

TEST_F(RemoteSegmentTest, AnUnknownFileFailsAfterAFreshLook) {
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(9), ENOENT);
    EXPECT_GE(freshLooks, 1);
}

// Case 47: a file registered after the connect.
TEST_F(RemoteSegmentTest, ANewFileIsFoundWithoutReconnecting) {
    start();
    cached = descriptor;
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        descriptor.fileSizes[3] = 4096;
    }
    EXPECT_EQ(run(3), 0);
    EXPECT_EQ(initiator.connections.size(), 1u);
}

// Case 47: a file registered after the segment was opened, and wanted first.
TEST_F(RemoteSegmentTest, WhatTheCachedDescriptorLacksIsLookedForAfresh) {
    start();
    cached = descriptor;
    {
        std::lock_guard lock(mutex);
        descriptor.fileSizes[3] = 4096;
    }
    EXPECT_EQ(run(3), 0);
    EXPECT_EQ(freshLooks, 1);
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(freshLooks, 1);
}

// Decision 5: a file without a device keeps nobody else waiting.
TEST_F(RemoteSegmentTest, AMissingDeviceHoldsUpItsOwnFileAlone) {
    initiator.openErrors[2] = ENXIO;
    start();
    Ended missing;
    submit(2, missing);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.opens > 0; }));
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(missing.times, 0);
    initiator.change([&] { initiator.openErrors.clear(); });
    EXPECT_EQ(wait(missing), 0);
}

// Case 2: a device that is not the one expected fails its own file.
TEST_F(RemoteSegmentTest, AWrongDeviceFailsItsFileAlone) {
    initiator.openErrors[2] = ESTALE;
    start();
    EXPECT_EQ(run(2), ESTALE);
    EXPECT_EQ(run(1), 0);
}

// Case 1: the target restarted under another NQN; failing I/O leads to it without anyone's help.
TEST_F(RemoteSegmentTest, FollowsARestartedTarget) {
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        cached = descriptor;
        descriptor.subsystemNqn = "nqn.2026-01.org.example:second";
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["first"] = EIO;
    }
    EXPECT_EQ(run(1), EIO);
    EXPECT_TRUE(runUntil(1, 0));
    EXPECT_TRUE(initiator.waitFor([&] { return initiator.live == 1; }));
    std::lock_guard lock(pool.mutex);
    EXPECT_TRUE(pool.devices.front()->closed);
    EXPECT_FALSE(pool.devices.back()->closed);
}

// Case 5: after the namespace is gone the device is not used again; its neighbours live.
TEST_F(RemoteSegmentTest, ADeadDeviceIsOpenedAnew) {
    for (int error : {ENODATA, ENOSPC, ENXIO, ENODEV}) {
        SCOPED_TRACE(error);
        start();
        EXPECT_EQ(run(1), 0);
        EXPECT_EQ(run(2), 0);
        std::shared_ptr<FakeDevice> first, second;
        {
            std::lock_guard lock(pool.mutex);
            first = pool.devices[pool.devices.size() - 2];
            second = pool.devices.back();
            pool.errors["file 1"] = error;
        }
        EXPECT_EQ(run(1), error);
        {
            std::lock_guard lock(pool.mutex);
            EXPECT_TRUE(first->closed);
            EXPECT_FALSE(second->closed);
            pool.errors.clear();
        }
        EXPECT_EQ(run(1), 0);
        EXPECT_EQ(run(2), 0);
        segment.reset();
    }
}

// Case 45: open segments go on while the metadata service is away.
TEST_F(RemoteSegmentTest, GoesOnWithoutMetadata) {
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        describeError = ECONNREFUSED;
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["file 1"] = EIO;
    }
    EXPECT_EQ(run(1), EIO);
    {
        std::lock_guard lock(pool.mutex);
        pool.errors.clear();
    }
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
}

TEST_F(RemoteSegmentTest, ADescriptorWithoutSenseFailsAtOnce) {
    describeError = EINVAL;
    start();
    EXPECT_EQ(run(1), EINVAL);
}

// Case 40: stopping ends what waits, also behind a connect that hangs for a while.
TEST_F(RemoteSegmentTest, StopEndsWhatWaits) {
    initiator.connectBlocks = true;
    start();
    std::vector<Ended> ended(100);
    for (Ended& one : ended) submit(1, one);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.connects == 1; }));
    std::thread release([&] { initiator.change([&] { initiator.connectBlocks = false; }); });
    segment->stop();
    release.join();
    for (Ended& one : ended) {
        const int error = wait(one);
        EXPECT_TRUE(error == ECANCELED || error == 0) << error;
    }
    EXPECT_EQ(run(1), ECANCELED);
}

// Case 44: submitting, failing and restarting at the same time loses nothing.
TEST_F(RemoteSegmentTest, NothingIsLostUnderChange) {
    start();
    constexpr int kThreads = 4, kEach = 500;
    std::vector<std::vector<Ended>> ended(kThreads, std::vector<Ended>(kEach));
    std::vector<std::thread> threads;
    for (auto& mine : ended) {
        threads.emplace_back([&] {
            for (Ended& one : mine) submit(1 + (&one - mine.data()) % 2, one);
        });
    }
    for (int i = 0; i < 20; ++i) {
        {
            std::lock_guard lock(mutex);
            descriptor.subsystemNqn = "nqn.2026-01.org.example:number" + std::to_string(i);
        }
        std::lock_guard lock(pool.mutex);
        if (i % 2 != 0) {
            pool.errors.clear();
        } else {
            pool.errors["file 1"] = i % 4 ? EIO : ENODATA;
        }
    }
    for (auto& thread : threads) thread.join();
    {
        std::lock_guard lock(pool.mutex);
        pool.errors.clear();
    }
    for (auto& mine : ended) {
        for (Ended& one : mine) EXPECT_NE(wait(one), -1);
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
