// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mooncake::nvmeof_generic {

/// How the kernel shares the I/O of a subsystem between its controllers
/// (/sys/class/nvme-subsystem).
enum class IoPolicy {
    kAuto,  ///< queue-depth where the kernel has it (Linux 6.11), else round-robin
    kQueueDepth,
    kRoundRobin,
    kNuma,
};

}  // namespace mooncake::nvmeof_generic
