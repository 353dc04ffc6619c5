// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <string>

#include "key_pairs.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"
#include "transport/nvmeof_generic_transport/initiator/path.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

/// What the kernel is going to ask a target for.
struct ProbeRequest {
    Path path;                 ///< its target checked (checkAddress()), of type tcp
    std::string subsystemNqn;  ///< checked
    HostIdentity host;
    std::chrono::seconds keepAlive{5};
    KeyPair keys{};  ///< with which it authenticates itself; what they point to outlives the probe
};

/// Does in user space, over one TCP connection, what the kernel does on an admin queue while it
/// holds one mutex for all connects of the machine, up to 60 s for each answer that does not come:
/// ICReq, Fabrics Connect, authentication where the target asks for it (authenticate()), CAP, VS,
/// CC, CSTS, Identify Controller, the ANA log, the number of queues, keep-alive, the list of
/// namespaces. Then it shuts the controller down and closes. A target that gets through completes
/// the kernel's connect as well, unless it changes its mind; any number can be asked at the same
/// time. A command that the target refuses is answered: that holds nobody up; only Connect,
/// authentication, the registers and Identify must succeed. What no probe can see are the I/O
/// queues, which the kernel connects, and authenticates, one by one.
/// @param deadline  for the TCP connection to be there
/// @param limit  for everything after that
/// @return ECONNREFUSED, EHOSTUNREACH ... as connect(2); ETIMEDOUT at the deadline or the limit;
/// EIO when the target refuses; what authenticate() gives; EPROTO for an answer that is not
/// NVMe/TCP or that names another subsystem; ECONNRESET when it closes; ECANCELED when stopped;
/// EADDRNOTAVAIL for an unknown interface. The message is empty where the code says it all, and the
/// cause otherwise.
Result<> probeTcpTarget(const ProbeRequest& request, Clock::time_point deadline,
                        std::chrono::milliseconds limit, const std::stop_token& stop);

}  // namespace mooncake::nvmeof_generic
