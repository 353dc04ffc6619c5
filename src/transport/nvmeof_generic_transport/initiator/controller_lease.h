// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "controller_notes.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

/// One process's use of a controller that several processes may share. The kernel allows one
/// connection per host and subsystem, and any process may have made it; whoever uses it last should
/// disconnect it, unless it was somebody else's. The kernel knows no user of a controller, so
/// the processes of this transport tell each other by locks (flock) on the controller's folder in
/// sysfs, which end with the process, whatever children it has forked, and leave nothing behind:
/// - the folder itself: a shared lock is held by all who use a controller made by this transport;
/// - its file "transport": the gate, held exclusively while one looks at or changes the other lock,
///   and while the controller is being deleted.
/// A controller on whose folder nobody holds a lock was left by a process of ours that was killed,
/// where ControllerNotes know it: who finds it takes it over. Otherwise somebody else made it
/// (nvme-cli): it is used without a lock and never disconnected. For one thread.
class ControllerLease {
 public:
    /// Begins the use of a controller that the caller just made.
    /// @param opened  the controller's opened folder
    /// @param poll  how long to wait for another process at the gate
    /// @return isGone() codes when the controller was deleted
    static Result<ControllerLease> ofMade(UniqueFd opened, std::string name,
                                          const ControllerNotes& notes, Poll poll);

    /// Begins the use of a controller that was there.
    /// @param makerExpected  until when its maker may still be about to take the lock, which it can
    /// only do a moment after the kernel has shown the controller to all: until then one without a
    /// lock is not taken for somebody else's
    /// @return isGone() codes when the controller was deleted; ETIMEDOUT or ECANCELED
    static Result<ControllerLease> ofFound(UniqueFd opened, std::string name,
                                           const ControllerNotes& notes,
                                           Clock::time_point makerExpected, Poll poll);

    ControllerLease(ControllerLease&&) noexcept = default;

    int dir() const { return dir_.get(); }
    const std::string& name() const { return name_; }
    /// Whether it is a controller of this transport, made by this process or another.
    bool isOurs() const { return ours_; }

    /// Ends the use.
    /// @return whether the caller now has to delete the controller: others who ask for it wait
    /// until this object is gone
    bool endsLast(Poll poll);

 private:
    ControllerLease(ProcessFd dir, std::string name, bool ours);

    ProcessFd dir_;
    ProcessFd gate_;  // locked while valid
    std::string name_;
    bool ours_;
};

}  // namespace mooncake::nvmeof_generic
