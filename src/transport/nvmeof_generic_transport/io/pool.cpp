// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "bounce_pool.h"
#include "caller_submit.h"
#include "channels.h"
#include "conditions.h"
#include "device.h"
#include "device_registry.h"
#include "dispatcher.h"
#include "held_back.h"
#include "monitor.h"
#include "options.h"
#include "progress.h"
#include "worker.h"
#include "write_guard.h"

namespace mooncake::nvmeof_generic {
namespace io {
namespace {

// How many I/Os a worker's context holds: enough for the first worker alone to keep 4 devices busy
// at the default depth, a few percent of the default fs.aio-max-nr.
constexpr uint32_t kFirstEntries = 2048;
constexpr uint32_t kFurtherEntries = 1024;

constexpr std::chrono::seconds kDrainReport{5};

uint32_t processors() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return static_cast<uint32_t>(std::max(CPU_COUNT(&set), 1));
}

class Pool final : public IoPool {
 public:
    Pool(const IoOptions& options, std::unique_ptr<AioSyscalls> aio,
         std::unique_ptr<BouncePool> bounce)
        : options_(options),
          aio_(std::move(aio)),
          bounce_(std::move(bounce)),
          channels_(*aio_),
          dispatcher_(*aio_, conditions_),
          submit_(*aio_, conditions_, *bounce_, channels_, dispatcher_, options.maxIoBytes),
          progress_(*aio_, conditions_, *bounce_, channels_, submit_),
          heldBack_(*aio_, channels_, dispatcher_),
          services_{*aio_,     dispatcher_, *bounce_,  registry_,
                    channels_, progress_,   heldBack_, options.spin},
          monitor_({.firstEntries = kFirstEntries,
                    .furtherEntries = kFurtherEntries,
                    .mostActive = std::min(options.numWorkers, processors())},
                   services_, conditions_) {}

    ~Pool() override {
        for (const auto& device : registry_.all()) device->shut();
        while (!registry_.waitUntilEmpty(kDrainReport)) reportDraining();
        while (dispatcher_.hasVisitors()) std::this_thread::yield();
        dispatcher_.stop();
    }

    Result<> open() { return monitor_.open(); }

    int openFlags() const override { return O_DIRECT; }

    Result<std::shared_ptr<IoDevice>> addDevice(IoDeviceSpec spec) override {
        if (Result<> checked = check(spec); !checked.ok()) return checked.error();
        {
            const MutexLock lock(startMutex_);
            if (!started_) {
                if (Result<> started = monitor_.start(); !started.ok()) return started.error();
                started_ = true;
            }
        }
        const PlanRules rules = planRules(
            options_, spec, memoryAlignment(spec.fd.get(), spec.blockSize), bounce_->chunks());
        auto device = std::make_shared<Device>(std::move(spec), rules, options_.queueDepth,
                                               options_.durableWrites, *bounce_, conditions_,
                                               dispatcher_, heldBack_);
        registry_.add(device);
        return std::shared_ptr<IoDevice>(std::move(device));
    }

    using IoPool::submit;
    void submit(const IoItem* items, size_t count, Submitter who) noexcept override {
        submit_.submit(items, count, who);
    }

    void enablePolling() override { submit_.enablePolling(); }
    bool poll() override { return progress_.poll(); }
    bool wait(std::chrono::nanoseconds limit) override { return progress_.wait(limit); }

    SubmitCounts submitCounts() const override {
        SubmitCounts counts;
        channels_.forEach([&counts](const Channel& channel) { channel.context().addTo(counts); });
        return counts;
    }

    void closeDevice(const std::shared_ptr<IoDevice>& handle) override {
        static_cast<Device&>(*handle).shut();
    }

 private:
    static Result<> check(const IoDeviceSpec& spec) {
        const auto bad = [&spec](const std::string& what, const std::string& remedy) {
            return makeError(EINVAL, "device " + spec.name + ": " + what, remedy);
        };
        if (!std::has_single_bit(spec.blockSize) || spec.blockSize < 512 ||
            spec.blockSize > BouncePool::kChunkBytes) {
            return bad("block size " + std::to_string(spec.blockSize),
                       "use a power of two from 512 to 65536");
        }
        if (spec.size == 0 || spec.size % spec.blockSize != 0 || spec.size > INT64_MAX) {
            return bad("size " + std::to_string(spec.size),
                       "use a multiple of the block size " + std::to_string(spec.blockSize));
        }
        if (spec.listener == nullptr) return bad("no listener", "");
        const int flags = fcntl(spec.fd.get(), F_GETFL);
        if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || (flags & O_DIRECT) == 0) {
            return bad("its descriptor", "open it for reading, with IoPool::openFlags()");
        }
        return {};
    }

    void reportDraining() {
        for (const auto& device : registry_.all()) {
            LOG(WARNING) << "shutting I/O down: waiting for " << device->inFlight()
                         << " I/Os that the kernel has for " << device->name();
        }
    }

    const IoOptions options_;
    const std::unique_ptr<AioSyscalls> aio_;
    const std::unique_ptr<BouncePool> bounce_;
    Conditions conditions_;
    Channels channels_;
    Dispatcher dispatcher_;
    CallerSubmit submit_;
    Progress progress_;
    HeldBack heldBack_;
    DeviceRegistry registry_;
    WorkerServices services_;
    Monitor monitor_;  // its threads use all of the above
    Mutex startMutex_;
    bool started_ MC_GUARDED_BY(startMutex_) = false;
};

}  // namespace

Result<std::unique_ptr<IoPool>> createPool(const IoOptions& options,
                                           std::unique_ptr<AioSyscalls> aio) {
    if (Result<> checked = checkOptions(options); !checked.ok()) return checked.error();
    auto bounce = BouncePool::create(options.bounceBytes);
    if (!bounce.ok()) return bounce.error();
    auto pool = std::make_unique<Pool>(options, std::move(aio), bounce.take());
    if (Result<> opened = pool->open(); !opened.ok()) return opened.error();
    return std::unique_ptr<IoPool>(std::move(pool));
}

}  // namespace io

std::shared_ptr<io::WriteGuard> makeWriteGuard() {
    return std::make_shared<io::WriteGuard>();
}

void IoPool::submit(const std::shared_ptr<IoDevice>& device, const IoRequest* requests,
                    size_t count, Submitter who) noexcept {
    std::array<IoItem, 256> items;
    for (size_t at = 0; at < count;) {
        size_t filled = 0;
        for (; at < count && filled < items.size(); ++at, ++filled) {
            items[filled] = {device.get(), requests[at]};
        }
        submit(items.data(), filled, who);
    }
}

Result<std::unique_ptr<IoPool>> IoPool::create(const IoOptions& options) {
    auto aio = io::makeKernelAio();
    if (!aio.ok()) return aio.error();
    return io::createPool(options, aio.take());
}

}  // namespace mooncake::nvmeof_generic
