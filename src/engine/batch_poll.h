// SPDX-License-Identifier: Apache-2.0
// Reading a task's counters. The order of the loads is what transport/transport.h promises the
// pollers.
#pragma once

#include "transport/transport.h"

namespace mooncake {

// `s` is WAITING, COMPLETED or FAILED.
inline Transport::TransferStatus pollTask(Transport::TransferTask& task) {
    const uint64_t failed = task.failed_slice_count.load(std::memory_order_acquire);
    const uint64_t succeeded = task.success_slice_count.load(std::memory_order_acquire);
    // After the two, and they are acquires: a transport that still counts slices has ended none.
    const uint64_t slices = task.slice_count.load(std::memory_order_relaxed);
    Transport::TransferStatus status{Transport::WAITING, 0};
    if (slices != 0 && failed + succeeded == slices) {
        status.s = failed == 0 ? Transport::COMPLETED : Transport::FAILED;
        task.is_finished.store(true, std::memory_order_relaxed);
    }
    status.transferred_bytes = task.transferred_bytes.load(std::memory_order_relaxed);
    return status;
}

inline bool taskEnded(Transport::TransferTask& task) {
    return pollTask(task).s != Transport::WAITING;
}

}  // namespace mooncake
