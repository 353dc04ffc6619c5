// SPDX-License-Identifier: Apache-2.0
// The transport's options: environment variables, read once when the transport is installed.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "network_list.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"
#include "transport/nvmeof_generic_transport/io/io_options.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {

struct TransportOptions {
    IoOptions io;
    InitiatorOptions initiator;
    TargetOptions target;
    NetworkList allowedNetworks;         ///< where an initiator connects to
    bool localAccess = true;             ///< this node's own files need no network
    bool refuseUnalignedWrites = false;  ///< those that are no multiple of their file's align
    std::string statsFile;               ///< where the counters are written; empty: nowhere
    std::chrono::seconds statsInterval{10};
    std::string statsLabel;  ///< what the counters call this process; default: the program's name
};

/// Reads MC_NVMEOF_GENERIC_*. A variable that is not set keeps its default; a malformed or
/// out-of-range value, or an unknown name with this prefix, is an error that names the variable,
/// the value and what it takes: never a silent default.
/// @param environment  null-terminated list of "NAME=value", as `environ`
/// @return EINVAL
Result<TransportOptions> readEnvironment(const char* const* environment);

}  // namespace mooncake::nvmeof_generic
