// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"
#include "transport/nvmeof_generic_transport/initiator/path.h"

namespace mooncake::nvmeof_generic {

/// Who this host says it is. The kernel remembers the two as a pair and refuses mixed ones.
struct HostIdentity {
    std::string nqn;
    std::string id;  ///< UUID, 36 characters in lower case
};

/// What a target has shown of itself without the kernel.
struct Probed {
    bool answered = false;     ///< false where there is no way of asking (RDMA)
    bool withOldKeys = false;  ///< it let the host in with its old keys, not with the new ones
};

/// Making and breaking one controller: what the kernel does for us. Implementations check nothing:
/// callers pass validated strings only. Blocking; thread-safe.
class Fabrics {
 public:
    virtual ~Fabrics() = default;

    /// Goes through all that the kernel would wait for with a target, without the kernel: any
    /// number of targets may be asked at the same time. That includes authentication, with the
    /// options' keys: new ones first, and old ones where those are rejected.
    /// @param stop  ends the wait with ECANCELED
    /// @return ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT (at `deadline`, or earlier where it answers
    /// too slowly), EIO (it refuses), ENOKEY, EKEYREJECTED, EPROTO ... when it is no use to
    /// connect, with a message as connect() gives
    virtual Result<Probed> probe(const Path& path, const std::string& subsystemNqn,
                                 const HostIdentity& host, const InitiatorOptions& options,
                                 std::chrono::steady_clock::time_point deadline,
                                 const std::stop_token& stop) = 0;

    /// Connects, with all of the options' times, never with the kernel's defaults. The kernel makes
    /// one connection of the machine at a time.
    /// @param probed  what has just come of a probe of this path: which keys go first
    /// @return the kernel's name of the new controller ("nvme3"); EALREADY when this host is
    /// connected already over this path; EOPNOTSUPP where the kernel would ignore the options' key;
    /// other errors name the address, the cause and the remedy
    virtual Result<std::string> connect(const Path& path, const std::string& subsystemNqn,
                                        const HostIdentity& host, const InitiatorOptions& options,
                                        const Probed& probed) = 0;

    /// Has the kernel find out whether a controller's target still answers: it takes the connection
    /// for lost where it does not. May block for some seconds then, and for as long as an answer
    /// takes otherwise.
    /// @param controllerDir  its opened folder in sysfs; stays the caller's
    /// @return whether an answer came
    virtual bool provokeAnswer(int controllerDir, const std::string& name) = 0;

    /// The same, over each of the controller's I/O queues that the calling thread may use. Blocks
    /// as long as a queue has no place for the question. Changes the processors on which the
    /// calling thread may run.
    /// @param device  the block device of a namespace of this controller
    virtual void provokeIoAnswers(int controllerDir, int device) = 0;

    /// Has the kernel make the controller's connection anew; the I/O that it has goes over the new
    /// one. May take seconds.
    /// @param controllerDir  its opened folder in sysfs; stays the caller's
    virtual void reset(int controllerDir, const std::string& name) = 0;
    enum class Haste {
        kNone,
        kAtOnce,    ///< no more I/O from now on, however long the rest takes: up to a minute
        kTakeDown,  ///< the I/O in the kernel's hands ends now, also where the connection is up:
                    ///< the kernel takes it down first
    };

    /// Deletes a controller. May take seconds when its target does not answer.
    /// @param controllerDir  its opened folder in sysfs: names are recycled, a folder is not. Stays
    /// the caller's.
    /// @param name  for messages
    /// @return success also when the controller is gone already
    virtual Result<> disconnect(int controllerDir, const std::string& name, Haste haste) = 0;
};

/// The real one: libnvme connects, sysfs disconnects. libnvme is not thread-safe, so all instances
/// share one mutex.
/// @param devRoot  where the controllers' nodes are: "/dev"
std::shared_ptr<Fabrics> makeKernelFabrics(const std::string& devRoot);

}  // namespace mooncake::nvmeof_generic
