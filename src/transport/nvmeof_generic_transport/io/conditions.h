// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace mooncake::nvmeof_generic::io {

/// Which workers submit for a device: those that all devices share, or those for devices that made
/// io_submit block.
enum class Lane : uint8_t { kCommon, kSlow };
constexpr int kLanes = 2;

/// What the monitor finds out and everybody goes by. All relaxed: each is a hint on its own.
struct Conditions {
    std::atomic<uint64_t> tick{1};           ///< counts the monitor's rounds
    std::atomic<uint32_t> activeWorkers{1};  ///< common workers there is work for
    std::atomic<bool> slowLane{false};       ///< a worker of Lane::kSlow runs
};

}  // namespace mooncake::nvmeof_generic::io
