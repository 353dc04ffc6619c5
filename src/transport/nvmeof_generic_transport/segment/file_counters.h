// SPDX-License-Identifier: Apache-2.0
// Counters on the data path.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::nvmeof_generic {

enum class Direction : uint8_t { kRead, kWrite };

/// What is counted of one file. Thread-safe, without a lock: each thread adds to a set of its own,
/// made when it first counts; a reader adds the sets up. Threads beyond kOwn, and those without
/// memory for a set, share one.
class FileCounters {
 public:
    FileCounters() = default;
    ~FileCounters();
    FileCounters(const FileCounters&) = delete;
    FileCounters& operator=(const FileCounters&) = delete;

    /// Counts a request that has ended.
    /// @param error  0 or a positive errno value
    /// @param nanoseconds  since it was submitted
    void noteEnd(Direction direction, int error, uint64_t bytes, uint64_t nanoseconds) noexcept;

    void noteRetry() noexcept { retries_.fetch_add(1, std::memory_order_relaxed); }

    /// Each value is from a moment during the call.
    FileStats read(uint32_t fileId) const;

    /// Adds what another has counted, and is done with counting.
    void add(const FileCounters& other) noexcept;

 private:
    using Counter = std::atomic<uint64_t>;
    struct Operation {
        std::array<Counter, LatencyHistogram::kBounded + 1> buckets{};
        Counter nanoseconds{0};
        Counter bytes{0};
    };
    struct alignas(64) Set {
        std::array<Operation, 2> directions;
    };
    static constexpr size_t kOwn = 64;
    static constexpr size_t kErrnos = 134;  // the kernel's; others count as 0

    Set* ownSet() noexcept;
    template <class Use>
    void forEachSet(const Use& use) const;

    std::array<std::atomic<Set*>, kOwn> own_{};  // by the thread's number
    Set shared_;
    std::array<std::atomic<uint64_t>, kErrnos> errors_{};
    Counter retries_{0};
};

}  // namespace mooncake::nvmeof_generic
