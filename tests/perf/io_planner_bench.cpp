// SPDX-License-Identifier: Apache-2.0
// What planning costs, per request.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include "planner.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr size_t kRequests = 4096;

struct Shape {
    uint64_t length;  // of a request
    uint64_t step;    // from one to the next
    uint64_t misalignment;
};

void plan(benchmark::State& state, const Shape& shape) {
    const PlanRules rules{DirectIo::kAuto, 4096, 512, 1 << 20, 256 << 10};
    std::vector<Request> requests(kRequests);
    Operation operation;
    size_t operations = 0;
    for (auto _ : state) {
        RequestQueue queue;
        for (size_t i = 0; i < kRequests; ++i) {
            const uint64_t memory = 0x10000000 + i * 8192 + shape.misalignment;
            requests[i].start(IoOp::kRead, reinterpret_cast<void*>(memory), i * shape.step,
                              shape.length, nullptr, false);
            queue.push(&requests[i]);
        }
        while (!queue.empty()) {
            operation.pieces.clear();
            planNext(rules, queue, Joining::kAllowed, operation);
            benchmark::DoNotOptimize(operation.begin);
            ++operations;
        }
    }
    const auto planned = static_cast<double>(state.iterations() * kRequests);
    state.SetItemsProcessed(static_cast<int64_t>(planned));
    state.counters["requests/io"] = planned / static_cast<double>(operations);
}

BENCHMARK_CAPTURE(plan, Scattered4K, Shape{4096, 8192, 0});
BENCHMARK_CAPTURE(plan, Sequential4K, Shape{4096, 4096, 0});
BENCHMARK_CAPTURE(plan, Unaligned4K, Shape{4000, 8192, 1});
BENCHMARK_CAPTURE(plan, Large8M, Shape{8 << 20, 8 << 20, 0});

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
