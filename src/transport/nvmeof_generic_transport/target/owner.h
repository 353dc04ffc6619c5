// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "transport/nvmeof_generic_transport/common/network_namespace.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// A process, named so that no other one is ever taken for it: a process number alone is used
/// again.
struct Owner {
    pid_t pid = 0;               ///< in its own PID namespace
    uint64_t start = 0;          ///< clock ticks since boot (proc(5), field 22 of stat)
    uint64_t image = 0;          ///< where its stack began: another program run by it (exec) has
                                 ///< another one; or 0
    uint64_t pidNamespace = 0;   ///< inode of /proc/PID/ns/pid
    uint64_t timeNamespace = 0;  ///< inode of /proc/PID/ns/time, by which `start` is counted; or 0
    uint64_t network = 0;        ///< networkNamespace() of the thread that asked

    auto operator<=>(const Owner&) const = default;

    /// This process. @return ENOENT and the like when /proc does not tell
    static Result<Owner> self(const std::string& procRoot = "/proc");

    /// Six numbers, each followed by a dot.
    std::string toText() const;
    /// Takes what toText() gives off the front of `text`. @return nothing when it is not there
    static std::optional<Owner> take(std::string_view& text);
};

enum class Life {
    kAlive,
    kDead,
    kUnknown,  ///< in a PID or time namespace into which we do not see
};

struct OwnerSight {
    Life life = Life::kUnknown;
    pid_t pid = 0;  ///< what we know a live one by, in our own PID namespace; else 0
};

/// Whether the very process lives. Sees those of this process's own PID namespace, and from the
/// initial one, as on the host itself, all.
OwnerSight lookAt(const Owner& owner, const std::string& procRoot);

}  // namespace mooncake::nvmeof_generic
