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
#include "transport/nvmeof_generic_transport/target/owner.h"

namespace mooncake::nvmeof_generic::admin {

enum class OwnerState {
    kAlive,
    kDead,     ///< `clean` removes the subsystem
    kUnknown,  ///< which one it is cannot be found out
    kForeign,  ///< not made by this transport, which knows no owner then
};

struct Owner {
    OwnerState state = OwnerState::kUnknown;
    pid_t pid = 0;                   ///< of a live one; 0: not in sight (in another PID namespace)
    std::string command;             ///< its name, "" when not known
    std::optional<int64_t> started;  ///< when the process began, in seconds since 1970
    std::optional<nvmeof_generic::Owner> recorded;  ///< as the subsystem's claim has it
};

struct ExportedNamespace {
    uint32_t nsid = 0;
    bool enabled = false;
    std::optional<std::string> file;
    std::optional<uint64_t> size;  ///< bytes that a remote host reaches
};

struct ExportPort {
    std::string id;
    std::optional<uint64_t> network;  ///< the namespace that it listens in; not known of others'
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

/// Looks at nvmet without changing it, and reads of a key no more than proofOf(). Takes the lock
/// of all targets for a moment, and keeps none.
/// @param all  subsystems that others made, too
/// @return ENOENT when there is no nvmet (the message says why) ...
Result<ExportList> listExports(const Roots& roots, bool all);

}  // namespace mooncake::nvmeof_generic::admin
