// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"

namespace mooncake::nvmeof_generic {

/// Who this host says it is. The kernel remembers the two as a pair and refuses mixed ones.
struct HostIdentity {
    std::string nqn;
    std::string id;  ///< UUID, 36 characters in lower case
};

/// Making and breaking one controller: what the kernel does for us. Implementations check nothing:
/// callers pass validated strings only. Blocking; thread-safe.
class Fabrics {
 public:
    virtual ~Fabrics() = default;

    /// Connects, with all of the options' times, never with the kernel's defaults.
    /// @param stop  ends the wait early where that is possible, with ECANCELED
    /// @return the kernel's name of the new controller ("nvme3"); EALREADY when this host is
    /// connected already; other errors name the address, the cause and the remedy
    virtual Result<std::string> connect(const TransportAddress& address,
                                        const std::string& subsystemNqn, const HostIdentity& host,
                                        const InitiatorOptions& options, std::stop_token stop) = 0;

    /// Deletes a controller. May take seconds when its target does not answer.
    /// @param controllerDir  its opened folder in sysfs: names are recycled, a folder is not. Stays
    /// the caller's.
    /// @param name  for messages
    /// @return success also when the controller is gone already
    virtual Result<> disconnect(int controllerDir, const std::string& name) = 0;
};

/// The real one: libnvme connects, sysfs disconnects. libnvme is not thread-safe, so all instances
/// share one mutex.
std::shared_ptr<Fabrics> makeKernelFabrics();

}  // namespace mooncake::nvmeof_generic
