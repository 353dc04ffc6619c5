// SPDX-License-Identifier: Apache-2.0
// Telling a process from its forked children.
#pragma once

#include <cstdint>

namespace mooncake::nvmeof_generic {

/// A number that stands for this process: a child, however it was forked, has another one than all
/// its ancestors. Never 0. Costs a load, and takes no lock: what a forked child may be called for
/// asks here first, before it takes a lock that a thread of the parent may have held. Any thread.
uint64_t thisProcess();

/// Which process made an object.
class MadeHere {
 public:
    /// Whether that is the process that runs now, and not a forked child of it.
    bool here() const { return process_ == thisProcess(); }

 private:
    uint64_t process_ = thisProcess();
};

}  // namespace mooncake::nvmeof_generic
