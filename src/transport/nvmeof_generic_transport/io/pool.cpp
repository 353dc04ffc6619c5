// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sched.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "bounce_pool.h"
#include "callers.h"
#include "conditions.h"
#include "crew.h"
#include "device.h"
#include "device_registry.h"
#include "dispatcher.h"
#include "options.h"
#include "worker.h"

namespace mooncake::nvmeof_generic {
namespace io {
namespace {

// How many I/Os a worker's context holds: enough for the first worker alone to keep 15 devices busy
// at the default depth, a few percent of the default fs.aio-max-nr.
constexpr uint32_t kFirstEntries = 2048;
constexpr uint32_t kFurtherEntries = 1024;

// Requests queued under one lock.
constexpr size_t kAtOnce = 512;

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
          dispatcher_(*aio_, conditions_),
          callers_(*aio_, conditions_, *bounce_, dispatcher_),
          world_{*aio_, conditions_, dispatcher_, *bounce_, registry_, callers_, options.spin} {
        for (uint32_t i = 0; i < options.numWorkers; ++i) {
            workers_.push_back(std::make_unique<Worker>(world_, i, Lane::kCommon));
        }
        workers_.push_back(std::make_unique<Worker>(world_, options.numWorkers, Lane::kApart));
        monitor_ = std::make_unique<Monitor>(
            Monitor::Tuning{.firstEntries = kFirstEntries,
                            .furtherEntries = kFurtherEntries,
                            .mostActive = std::min(options.numWorkers, processors())},
            world_, workers_, crew_);
    }

    ~Pool() override {
        for (const auto& device : registry_.all()) shut(*device);
        while (!registry_.waitUntilEmpty(kDrainReport)) reportDraining();
        dispatcher_.stop();
    }

    Result<> open() { return workers_.front()->open(kFirstEntries); }

    int openFlags() const override { return O_DIRECT; }

    Result<std::shared_ptr<IoDevice>> addDevice(IoDeviceSpec spec) override {
        if (Result<> checked = check(spec); !checked.ok()) return checked.error();
        {
            std::lock_guard lock(startMutex_);
            if (!started_) {
                if (Result<> started = monitor_->start(); !started.ok()) return started.error();
                started_ = true;
            }
        }
        const PlanRules rules =
            planRules(options_, spec.blockSize, memoryAlignment(spec.fd.get(), spec.blockSize),
                      bounce_->chunks());
        auto device = std::make_shared<Device>(std::move(spec), rules, options_.queueDepth,
                                               options_.durableWrites, *bounce_, conditions_);
        registry_.add(device);
        return std::shared_ptr<IoDevice>(std::move(device));
    }

    void submit(const std::shared_ptr<IoDevice>& handle, const IoRequest* requests,
                size_t count) override {
        auto& device = static_cast<Device&>(*handle);
        const auto refuse = [&](const IoRequest& request, int error) {
            device.listener().onIoDone(request.context, error, 0);
        };
        const bool small = !callers_.enabled() && isSmall(requests, count);
        for (size_t at = 0; at < count;) {
            if (const int error = refusal(device.rules(), device.size(), requests[at])) {
                refuse(requests[at++], error);
                continue;
            }
            size_t end = at + 1;
            while (end < count && end - at < kAtOnce &&
                   refusal(device.rules(), device.size(), requests[end]) == 0) {
                ++end;
            }
            const Device::Admission admission = take(device, requests + at, end - at, small);
            for (at += admission.taken; at < end; ++at) {
                if (admission.error == ECANCELED) {
                    device.listener().onIoReturned(requests[at]);
                } else {
                    refuse(requests[at], admission.error);
                }
            }
        }
    }

    void enablePolling() override { callers_.enable(); }
    bool poll() override { return callers_.poll(); }
    bool wait(std::chrono::nanoseconds limit) override { return callers_.wait(limit); }

    SubmitCounts submitCounts() const override {
        SubmitCounts counts;
        callers_.addTo(counts);
        for (const auto& worker : workers_) std::as_const(*worker).seat().addTo(counts);
        return counts;
    }

    void closeDevice(const std::shared_ptr<IoDevice>& handle) override {
        shut(static_cast<Device&>(*handle));
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
        if (flags < 0 || (flags & O_ACCMODE) != O_RDWR || (flags & O_DIRECT) == 0) {
            return bad("its descriptor", "open it with O_RDWR and IoPool::openFlags()");
        }
        return {};
    }

    /// Whether it takes longer to wake a worker than to submit them.
    bool isSmall(const IoRequest* requests, size_t count) const {
        uint64_t bytes = 0;
        for (size_t i = 0; i < count && i < Batch::kMostForCaller; ++i) bytes += requests[i].length;
        return count <= Batch::kMostForCaller && bytes <= options_.maxIoBytes;
    }

    /// Queues requests, and sees to it that somebody submits them.
    Device::Admission take(Device& device, const IoRequest* requests, size_t count, bool small) {
        if (callers_.enabled()) return callers_.admit(device, requests, count);
        const Device::Admission admission = device.admit(requests, count);
        if (admission.ready && small) {
            callers_.serve(device, *admission.ready);
        } else {
            dispatcher_.push(device, admission.ready);
        }
        return admission;
    }

    void shut(Device& device) { dispatcher_.push(device, device.shut()); }

    void reportDraining() {
        for (const auto& device : registry_.all()) {
            const Device::Load load = device->load();
            LOG(WARNING) << "shutting I/O down: waiting for " << load.inFlight
                         << " I/Os that the kernel has for " << device->name();
        }
    }

    const IoOptions options_;
    const std::unique_ptr<AioSyscalls> aio_;
    const std::unique_ptr<BouncePool> bounce_;
    Conditions conditions_;
    Dispatcher dispatcher_;
    Callers callers_;
    DeviceRegistry registry_;
    WorkerWorld world_;
    std::vector<std::unique_ptr<Worker>> workers_;
    Crew crew_;                         // its threads run the workers
    std::unique_ptr<Monitor> monitor_;  // its thread uses the crew
    std::mutex startMutex_;
    bool started_ = false;
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

Result<std::unique_ptr<IoPool>> IoPool::create(const IoOptions& options) {
    auto aio = io::makeKernelAio();
    if (!aio.ok()) return aio.error();
    return io::createPool(options, aio.take());
}

}  // namespace mooncake::nvmeof_generic
