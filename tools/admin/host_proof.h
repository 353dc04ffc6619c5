// SPDX-License-Identifier: Apache-2.0
// Who must prove who he is, as far as it can be seen without seeing a key.
#pragma once

#include <optional>
#include <string>

#include "roots.h"

namespace mooncake::nvmeof_generic::admin {

/// What DH-HMAC-CHAP does for a connection of a host.
enum class Proof {
    kUnknown,      ///< the host's entry cannot be read
    kUnsupported,  ///< the kernel's target cannot authenticate: a host is who it says
    kNone,         ///< the host has no key: likewise
    kHost,         ///< the host proves who it is
    kBoth,         ///< and the target proves who it is, to a host that asks
};

/// Of an entry in nvmet's `hosts`. Reads one character of each key, which shows that there is one.
/// @param entry  its path
Proof proofOf(const std::string& entry);

/// Whether the kernel's part in a loaded module can authenticate.
/// @param module  "nvmet" or "nvme_core"
/// @return nothing when the module is not loaded, or not a module
std::optional<bool> canAuthenticate(const Roots& roots, const std::string& module);

}  // namespace mooncake::nvmeof_generic::admin
