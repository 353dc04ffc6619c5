// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include "run_folder.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

/// The processes of a machine take turns in connecting, by locks (flock) on two files of their
/// folder: "connecting" is held by who is in the kernel, "waiting" is shared by all who wait with a
/// target of good standing. A suspicious target goes only when nobody waits so. A process that is
/// stopped with a lock in its hands holds nobody up for long: others go on without. For one thread
/// at a time.
class MachineTurn {
 public:
    enum class Look { kMine, kWithout, kBusy };

    explicit MachineTurn(std::shared_ptr<const RunFolder> folder);
    MachineTurn(const MachineTurn&) = delete;
    MachineTurn& operator=(const MachineTurn&) = delete;

    /// One look, which does not block.
    /// @param suspicious  whether its target is
    /// @param since  when it began to wait for other processes
    /// @param deadline  until when it can wait
    /// @return kMine: giveBack() ends it, also where there is no folder; kWithout: it has taken too
    /// long, go on all the same; kBusy: look again
    Look look(bool suspicious, Clock::time_point since, Clock::time_point deadline);
    void giveBack();
    /// Whether somebody waits here with a target of good standing.
    void setWaiting(bool waits);

 private:
    bool isStuck() const;

    const std::shared_ptr<const RunFolder> folder_;
    UniqueFd connecting_;
    UniqueFd waiting_;
    bool waits_ = false;
};

}  // namespace mooncake::nvmeof_generic
