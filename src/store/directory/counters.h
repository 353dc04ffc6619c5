// SPDX-License-Identifier: Apache-2.0
// The numbers of DirectoryStatistics while they grow.
#pragma once

#include <atomic>

#include "directory_types.h"

namespace mooncake::store {

// Relaxed: each number is by itself.
class Counters {
 public:
    void add(uint64_t DirectoryStatistics::*which, uint64_t count = 1) {
        std::atomic_ref<uint64_t>(numbers_.*which).fetch_add(count, std::memory_order_relaxed);
    }
    DirectoryStatistics read() const {
        DirectoryStatistics copy;
        for (const auto which : kAll) {
            copy.*which =
                std::atomic_ref<uint64_t>(numbers_.*which).load(std::memory_order_relaxed);
        }
        return copy;
    }

 private:
    using Numbers = DirectoryStatistics;
    static constexpr uint64_t Numbers::*kAll[] = {
        &Numbers::round_trips, &Numbers::repeats,    &Numbers::failovers, &Numbers::looked_up,
        &Numbers::found,       &Numbers::changed,    &Numbers::refused,   &Numbers::removed,
        &Numbers::groups,      &Numbers::grouped,    &Numbers::damaged,   &Numbers::timeouts,
        &Numbers::renewals,    &Numbers::leases_lost};
    static_assert(sizeof(kAll) / sizeof(kAll[0]) == sizeof(Numbers) / sizeof(uint64_t));

    mutable Numbers numbers_;
};

}  // namespace mooncake::store
