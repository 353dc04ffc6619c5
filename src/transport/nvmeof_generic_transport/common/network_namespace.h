// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace mooncake::nvmeof_generic {

/// The network namespace of the calling thread, as a number that no other one has had since this
/// machine's start (SO_NETNS_COOKIE, from Linux 5.14 on; before that the inode of
/// /proc/thread-self/ns/net, which is given again after a namespace has gone).
uint64_t networkNamespace();

}  // namespace mooncake::nvmeof_generic
