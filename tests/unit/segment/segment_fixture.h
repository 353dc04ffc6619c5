// SPDX-License-Identifier: Apache-2.0
// A segment on an initiator and a pool whose world the test arranges.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "housekeeper.h"
#include "remote_segments.h"

namespace mooncake::nvmeof_generic {

using namespace std::chrono_literals;

inline constexpr auto kLimit = 20s;

struct FakeConnection : Connection {
    FakeConnection(std::string n, std::atomic<int>& l) : nqn(std::move(n)), live(l) { ++live; }
    ~FakeConnection() override { --live; }
    const std::string& subsystemNqn() const override { return nqn; }
    bool isLive() const override {
        ++looks;
        return up;
    }
    bool isReconnecting() const override { return reconnecting; }
    bool isOurs() const override { return ours; }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>& device) override {
        ++provoked;
        if (device) ++queuesAsked;
        return answers;
    }
    void giveUp() override {
        ++givenUp;
        onGiveUp();
    }
    std::string nqn;
    std::atomic<int>& live;
    std::atomic<bool> up{true}, ours{true}, reconnecting{false}, answers{true};
    mutable std::atomic<int> looks{0};
    std::atomic<int> provoked{0}, queuesAsked{0}, givenUp{0};
    std::function<void()> onGiveUp = [] {};
};

// An initiator whose world the test arranges.
class FakeInitiator : public Initiator {
 public:
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses&,
                                                const std::string& nqn) override {
        std::unique_lock lock(mutex);
        ++connects;
        changed.notify_all();
        changed.wait(lock, [&] { return !connectBlocks; });
        if (connectError != 0) return makeError(connectError, "connect");
        if (gone.contains(nqn)) return makeError(ECONNREFUSED, "connect to what is gone");
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
        return RemoteNamespace{UniqueFd(), connection.subsystemNqn() + "/" + std::to_string(nsid),
                               size,       4096,
                               false,      local};
    }

    Result<> checkNamespace(const Connection&, uint32_t nsid, uint64_t, const UniqueFd&) override {
        std::lock_guard lock(mutex);
        ++checks;
        if (removed.contains(nsid)) return makeError(ENXIO, "check");
        return {};
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
    bool local = false;
    std::set<std::string> gone;  // subsystems that nobody will ever connect to again
    int connects = 0;
    int opens = 0;
    int checks = 0;
    std::set<uint32_t> removed;  // namespaces that are gone when they are looked at
    std::map<uint32_t, int> openErrors;
    std::map<std::string, std::weak_ptr<FakeConnection>> connections;
    std::atomic<int> live{0};
};

struct FakeDevice : IoDevice {
    explicit FakeDevice(IoDeviceSpec s) : spec(std::move(s)) {}
    Activity activity() const override { return {outstanding, ended}; }
    Sample sample(std::chrono::steady_clock::time_point) override { return {activity(), oldest}; }
    std::shared_ptr<const UniqueFd> descriptor() const override {
        return std::make_shared<const UniqueFd>();
    }
    IoDeviceSpec spec;
    std::atomic<std::chrono::milliseconds> oldest{0ms};
    bool closed = false;
    std::vector<IoRequest> held;  // queued
    std::vector<IoRequest> inKernel;
    std::atomic<size_t> outstanding{0};
    std::atomic<uint64_t> ended{0};
};

// A pool that ends each request at once, with the error that the test sets for its device's
// connection; or that keeps them queued, or in the kernel.
class FakePool : public IoPool {
 public:
    int openFlags() const override { return 0; }
    SubmitCounts submitCounts() const override { return {}; }
    Result<std::shared_ptr<IoDevice>> addDevice(IoDeviceSpec spec) override {
        std::lock_guard lock(mutex);
        devices.push_back(std::make_shared<FakeDevice>(std::move(spec)));
        return std::shared_ptr<IoDevice>(devices.back());
    }
    void submit(const IoItem* items, size_t count, Submitter) noexcept override {
        for (size_t i = 0; i < count; ++i) submitOne(*items[i].device, items[i].request);
    }
    void submitOne(IoDevice& opened, const IoRequest& request) {
        FakeDevice* const device = &static_cast<FakeDevice&>(opened);
        {
            int error = 0;
            bool closed = false;
            {
                std::lock_guard lock(mutex);
                closed = device->closed;
                if ((holds || kernelHolds) && !closed) {
                    (holds ? device->held : device->inKernel).push_back(request);
                    ++device->outstanding;
                    return;
                }
                for (const auto& [name, e] : errors) {
                    if (device->spec.name.find(name) != std::string::npos) error = e;
                }
                ++submitted;
                if (error != 0 && errorsLeft > 0 && --errorsLeft == 0) errors.clear();
            }
            if (closed) {
                device->spec.listener->onIoReturned(request);
                return;
            }
            ++device->ended;
            device->spec.listener->onIoDone(request.context, error, error ? 0 : request.length);
        }
    }
    void enablePolling() override {}
    bool poll() override { return false; }
    bool wait(std::chrono::nanoseconds) override { return false; }
    void closeDevice(const std::shared_ptr<IoDevice>& opened) override {
        const auto device = std::static_pointer_cast<FakeDevice>(opened);
        std::vector<IoRequest> returned;
        {
            std::lock_guard lock(mutex);
            device->closed = true;
            if (returnsLater) return;
            returned.swap(device->held);
        }
        for (const IoRequest& request : returned) {
            --device->outstanding;
            device->spec.listener->onIoReturned(request);
        }
    }
    // What was queued in closed devices comes back only now.
    void giveBack() {
        std::vector<std::shared_ptr<FakeDevice>> closed;
        {
            std::lock_guard lock(mutex);
            returnsLater = false;
            std::copy_if(devices.begin(), devices.end(), std::back_inserter(closed),
                         [](const auto& device) { return device->closed; });
        }
        for (const auto& device : closed) closeDevice(device);
    }
    // The kernel gives back what it has of all devices.
    void release(int error) {
        std::vector<std::pair<std::shared_ptr<FakeDevice>, IoRequest>> all;
        {
            std::lock_guard lock(mutex);
            for (const auto& device : devices) {
                for (const IoRequest& request : device->inKernel) all.emplace_back(device, request);
                device->inKernel.clear();
            }
        }
        for (const auto& [device, request] : all) {
            --device->outstanding;
            ++device->ended;
            device->spec.listener->onIoDone(request.context, error, error ? 0 : request.length);
        }
    }
    // What was queued is done.
    void letGo() {
        std::vector<std::pair<std::shared_ptr<FakeDevice>, IoRequest>> all;
        {
            std::lock_guard lock(mutex);
            for (const auto& device : devices) {
                for (const IoRequest& request : device->held) all.emplace_back(device, request);
                device->held.clear();
            }
        }
        for (const auto& [device, request] : all) {
            --device->outstanding;
            ++device->ended;
            device->spec.listener->onIoDone(request.context, 0, request.length);
        }
    }
    size_t held() {
        std::lock_guard lock(mutex);
        size_t all = 0;
        for (const auto& device : devices) all += device->held.size();
        return all;
    }

    std::mutex mutex;
    std::map<std::string, int> errors;
    int errorsLeft = 0;  // after so many, none any more; 0: no end
    int submitted = 0;
    bool holds = false;        // queued, what is submitted from now on
    bool kernelHolds = false;  // in the kernel
    bool returnsLater = false;
    std::vector<std::shared_ptr<FakeDevice>> devices;
};

// What became of one request.
struct Ended {
    int times = 0;
    int error = -1;
    uint32_t file = 0;
    uint64_t segment = 0;
};

class RemoteSegmentTest : public ::testing::Test, protected RequestOwner {
 protected:
    using Time = std::chrono::steady_clock::time_point;

    // The one that most tests need.
    struct OneSegment {
        RemoteSegmentTest& test;

        Time expire(Time now) { return test.segments->keepHouse(now); }
        SegmentStats stats() {
            const auto all = test.segments->stats();
            return all.empty() ? SegmentStats{} : all.front();
        }
        void beginStop() { test.segments->beginStop(); }
        void stop() { test.segments->stop(); }
        OneSegment* operator->() { return this; }
    };

    static RemoteFile file(uint32_t nsid, const std::string& identity, uint64_t size = 1 << 20) {
        return {nsid, size, identity, "/" + identity};
    }

    void start(std::chrono::milliseconds patience = kLimit,
               std::chrono::milliseconds downLimit = kLimit) {
        descriptor.segment = "the segment";
        descriptor.addresses = {{"tcp", "ipv4", "192.0.2.1", "4420"}};
        descriptor.subsystemNqn = "nqn.2026-01.org.example:first";
        descriptor.files = {{1, file(1, "one")}, {2, file(2, "two")}};
        descriptor.numbersLast = numbersLast;
        context.describe = [this](uint64_t, bool fresh) -> Result<RemoteDescriptor> {
            std::lock_guard lock(mutex);
            ++(fresh ? freshLooks : cachedLooks);
            if (describeError != 0) return makeError(describeError, "describe");
            if (!fresh && cached) return *cached;
            return descriptor;
        };
        context.isKnown = [this](uint64_t id) {
            std::lock_guard lock(mutex);
            return !forgotten.contains(id);
        };
        context.initiator = &initiator;
        context.pool = &pool;
        context.owner = this;
        context.patience = patience;
        context.downLimit = downLimit;
        context.ioLimit = ioLimit;
        housekeeper = std::make_unique<Housekeeper>([this](Time now) {
            RemoteSegments* known = due;
            return known ? known->keepHouse(now) : Time::max();
        });
        ASSERT_TRUE(housekeeper->start().ok());
        expiries.reserve(1 << 16);
        context.callAt = [this](Time when) {
            {
                std::lock_guard lock(mutex);
                expiries.push_back(when);
            }
            housekeeper->callAt(when);
        };
        segments = std::make_unique<RemoteSegments>(context);
        due = segments.get();
    }
    // From now on the test keeps house. The segment's thread runs.
    void keepHouseByHand() {
        EXPECT_EQ(run(77), ENOENT);
        due = nullptr;
    }
    void end() {
        if (segments) segments->stop();
        due = nullptr;
        housekeeper.reset();
        segments.reset();
    }
    ~RemoteSegmentTest() override { end(); }

    void submit(uint32_t fileId, Ended& ended, int retries = 0, IoOp op = IoOp::kRead,
                uint64_t offset = 0, uint64_t length = 4096) {
        ended.file = fileId;
        segments->prepare(ended.segment);
        const RemoteSegments::Request request{
            ended.segment, fileId, retries, {op, this, offset, length, &ended}};
        segments->submit(&request, 1);
    }
    // The request's errno value, or -1 when it did not end.
    int wait(Ended& ended) {
        std::unique_lock lock(mutex);
        if (!changed.wait_for(lock, kLimit, [&] { return ended.times > 0; }))
            givenUp.insert(&ended);
        EXPECT_EQ(ended.times, 1);
        return ended.error;
    }
    int run(uint32_t fileId, int retries = 0, IoOp op = IoOp::kRead) {
        Ended ended;
        submit(fileId, ended, retries, op);
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
    // The engine has forgotten a segment; that is seen when another one comes.
    void forget(uint64_t id) {
        {
            std::lock_guard lock(mutex);
            forgotten.insert(id);
        }
        Ended ended;
        ended.segment = 1000 + id;
        submit(77, ended);
        EXPECT_EQ(wait(ended), ENOENT);
    }
    template <class Condition>
    bool eventually(Condition condition) {
        const auto limit = std::chrono::steady_clock::now() + kLimit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > limit) return false;
            std::this_thread::sleep_for(1ms);
        }
        return true;
    }

    Place placeOf(const void* request) const noexcept override {
        const auto* ended = static_cast<const Ended*>(request);
        return {ended->segment, ended->file};
    }
    Time submittedAt(const void*) const noexcept override { return wasSubmittedAt; }
    void onEnded(void* request, int error, uint64_t bytes,
                 FileCounters& counters) noexcept override {
        counters.noteEnd(Direction::kRead, error, bytes, 1000);
        std::lock_guard lock(mutex);
        if (givenUp.contains(request)) return;
        auto& ended = *static_cast<Ended*>(request);
        ++ended.times;
        ended.error = error;
        changed.notify_all();
    }

    std::set<const void*> givenUp;  // their memory may be gone when they end all the same
    std::mutex mutex;
    std::condition_variable changed;
    RemoteDescriptor descriptor;
    std::optional<RemoteDescriptor> cached;
    bool numbersLast = false;
    int describeError = 0;
    int freshLooks = 0;
    int cachedLooks = 0;
    std::set<uint64_t> forgotten;  // segments that the engine has forgotten
    FakeInitiator initiator;
    FakePool pool;
    std::chrono::milliseconds ioLimit = kLimit;
    SegmentContext context;
    std::unique_ptr<RemoteSegments> segments;
    OneSegment segment{*this};
    std::vector<Time> expiries;  // when it wanted to be called
    std::unique_ptr<Housekeeper> housekeeper;
    std::atomic<RemoteSegments*> due{nullptr};
    // What is said of requests that come back from the pool.
    std::atomic<Time> wasSubmittedAt{std::chrono::steady_clock::now()};
};

}  // namespace mooncake::nvmeof_generic
