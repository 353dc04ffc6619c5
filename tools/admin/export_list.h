// SPDX-License-Identifier: Apache-2.0
// What this host exports through nvmet.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host_proof.h"
#include "roots.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic::admin {

enum class OwnerState {
    kAlive,
    kDead,     ///< nobody holds the lock on the subsystem: `clean` removes it
    kUnknown,  ///< the lock cannot be tried
    kForeign,  ///< not made by this transport, which knows no owner then
};

struct Owner {
    OwnerState state = OwnerState::kUnknown;
    pid_t pid = 0;        ///< 0: not in sight (no such process any more, or another PID namespace)
    std::string command;  ///< its name, "" when not known
};

struct ExportedNamespace {
    uint32_t nsid = 0;
    bool enabled = false;
    std::optional<std::string> file;
    std::optional<uint64_t> size;  ///< bytes that a remote host reaches
};

struct ExportPort {
    std::string id;
    TransportAddress address;
};

struct PermittedHost {
    std::string nqn;
    Proof proof = Proof::kUnknown;
};

struct ConnectedHost {
    std::string nqn;
    std::string address;  ///< "" when not known
};

struct ExportedSubsystem {
    std::string nqn;
    Owner owner;
    std::optional<std::string> segment;
    std::vector<ExportPort> ports;
    bool anyHost = false;
    std::vector<PermittedHost> allowedHosts;
    std::optional<std::vector<ConnectedHost>> connectedHosts;  ///< nothing: the kernel does not say
    std::vector<ExportedNamespace> namespaces;
};

struct ExportList {
    std::vector<ExportedSubsystem> subsystems;
    std::vector<std::string> notes;  ///< what could not be found out, and why
};

/// Looks at nvmet without changing it, and reads of a key no more than proofOf(). Takes the locks
/// of dead owners for a moment, as an orphan's removal does, and keeps none.
/// @param all  subsystems that others made, too
/// @return ENOENT when there is no nvmet (the message says why) ...
Result<ExportList> listExports(const Roots& roots, bool all);

}  // namespace mooncake::nvmeof_generic::admin
