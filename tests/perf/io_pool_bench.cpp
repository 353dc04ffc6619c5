// SPDX-License-Identifier: Apache-2.0
// What the pool costs, per request, without a device and without the kernel's part: queueing,
// planning, submission, completion and the hand-over between threads.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "channels.h"
#include "completion.h"
#include "dispatcher.h"
#include "held_back.h"
#include "instant_aio.h"
#include "planner.h"
#include "pool.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Counter : public IoListener {
 public:
    void onIoDone(void*, int, uint64_t) noexcept override {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_one();
    }
    void expect(size_t count) { left_.store(count, std::memory_order_release); }
    void wait() {
        for (size_t left = left_.load(); left != 0; left = left_.load()) left_.wait(left);
    }

 private:
    std::atomic<size_t> left_{0};
};

double cpuSeconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// @param step  from one request to the next, in bytes
void submitAndComplete(benchmark::State& state, uint64_t step) {
    const auto batch = static_cast<size_t>(state.range(0));
    IoOptions options;
    options.numWorkers = 1;
    auto pool = createPool(options, std::make_unique<InstantAio>()).take();
    char path[] = "/tmp/io-bench-XXXXXX";
    UniqueFd fd(mkostemp(path, O_DIRECT | O_CLOEXEC));
    std::remove(path);
    auto counter = std::make_shared<Counter>();
    auto added = pool->addDevice({std::move(fd), "bench", 1ULL << 40, 4096, counter});
    if (!added.ok()) {
        state.SkipWithError(added.error().message.c_str());
        return;
    }
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < batch; ++i) {
        requests.push_back(
            {IoOp::kRead, reinterpret_cast<void*>(0x10000000 + i * 8192), i * step, 4096, nullptr});
    }
    const double before = cpuSeconds();
    for (auto _ : state) {
        counter->expect(batch);
        pool->submit(added.value(), requests.data(), batch);
        counter->wait();
    }
    const auto done = static_cast<double>(state.iterations() * batch);
    state.SetItemsProcessed(static_cast<int64_t>(done));
    // Of all threads, which is what a request costs.
    state.counters["cpu_ns/request"] = (cpuSeconds() - before) * 1e9 / done;
}

BENCHMARK_CAPTURE(submitAndComplete, Scattered4K, 8192)->Arg(1)->Arg(32)->Arg(4096)->UseRealTime();
BENCHMARK_CAPTURE(submitAndComplete, Sequential4K, 4096)->Arg(256)->Arg(4096)->UseRealTime();

/// Memory of requests that wait.
void outstanding(benchmark::State& state) {
    const auto count = static_cast<size_t>(state.range(0));
    for (auto _ : state) {
        auto aio = std::make_unique<InstantAio>();
        InstantAio& kernel = *aio;
        kernel.setFull(true);
        auto pool = createPool({}, std::move(aio)).take();
        char path[] = "/tmp/io-bench-XXXXXX";
        UniqueFd fd(mkostemp(path, O_DIRECT | O_CLOEXEC));
        std::remove(path);
        auto counter = std::make_shared<Counter>();
        auto added = pool->addDevice({std::move(fd), "bench", 1ULL << 40, 4096, counter});
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < count; ++i) {
            requests.push_back(
                {IoOp::kRead, reinterpret_cast<void*>(0x10000000), i * 8192, 4096, nullptr});
        }
        counter->expect(count);
        const auto before = mallinfo2();
        pool->submit(added.value(), requests.data(), count);
        const auto after = mallinfo2();
        state.counters["bytes/request"] =
            static_cast<double>(after.uordblks - before.uordblks + after.hblkhd - before.hblkhd) /
            static_cast<double>(count);
        kernel.setFull(false);
        counter->wait();
    }
}
BENCHMARK(outstanding)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);

/// The end of operations of one piece each, without threads.
void completion(benchmark::State& state) {
    constexpr size_t kBatch = 64;
    auto bounce = BouncePool::create(1 << 20).take();
    Conditions conditions;
    InstantAio aio;
    Channels channels(aio);
    Dispatcher dispatcher(aio, conditions);
    HeldBack heldBack(aio, channels, dispatcher);
    auto counter = std::make_shared<Counter>();
    const PlanRules rules{DirectIo::kAuto, 4096, 512, 1 << 20, 256 << 10};
    Device device({UniqueFd(), "bench", 1ULL << 40, 4096, counter}, rules, kBatch, false, *bounce,
                  conditions, dispatcher, heldBack);
    Channel& mine = *channels.mine();
    counter->expect(SIZE_MAX);
    for (auto _ : state) {
        RequestEnd end(channels, aio, &mine);
        Completions completions;
        const InFlight::Places places = device.reserve(kBatch);
        for (size_t i = 0; i < places.count; ++i) {
            RequestQueue requests;
            Request* const request = end.allocate();
            request->start(IoOp::kRead, reinterpret_cast<void*>(0x10000000 + i * 8192), i * 8192,
                           4096, nullptr, false);
            requests.push(request);
            Operation* const operation = mine.memory().allocateOperation();
            operation->home = &mine;
            operation->device = &device;
            operation->generation = places.generation;
            planNext(rules, requests, Joining::kAllowed, *operation);
            device.start(*operation);
            operation->change(OperationState::kStarted, OperationState::kInKernel);
            operation->asked = operation->length;
            complete(*bounce, *operation, 4096, end, completions);
        }
        device.finish(completions, &mine, false);
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kBatch));
}
BENCHMARK(completion);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
