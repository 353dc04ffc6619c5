// SPDX-License-Identifier: Apache-2.0
// Until when this client may write.
#pragma once

#include <algorithm>

#include "data_path.h"
#include "directory.h"

namespace mooncake::store {

// No write is handed over later: at that time the lease may end, and the regions be another's soon
// after. Leases are counted by a clock that goes on while the machine sleeps.
inline DataPath::TimePoint writeUntil(const Directory& directory, Deadline deadline) {
    const auto now = std::chrono::steady_clock::now();
    const Lease lease = directory.lease();
    if (!lease.holds()) return now;
    return std::min(deadline, now + (lease.end - BootClock::now()));
}

}  // namespace mooncake::store
