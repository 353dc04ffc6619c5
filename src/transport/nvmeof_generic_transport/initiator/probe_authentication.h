// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "probe_queue.h"
#include "tcp_probe.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Authenticates the host (DH-HMAC-CHAP) on an admin queue, where the target asks for it, as the
/// kernel will. What must not reach the kernel ends here: Linux's target closes the connection at
/// once when it has said no (nvmet_ctrl_fatal_error()), and where its answer gets lost with that,
/// the kernel waits 60 s for it.
/// @param queue  connected
/// @param connectResult  of Connect
/// @return success also where the target asks for nothing. ENOKEY where it asks a host that has no
/// key; EKEYREJECTED where it refuses the key, also by closing the connection instead of an answer
/// to it, or does not prove that it has its own; EPROTONOSUPPORT where it asks for a TLS channel,
/// or refuses for another reason; else as ProbeQueue::need() and DhchapHost::reply(). The message
/// is empty where the code says it all.
Result<> authenticate(ProbeQueue& queue, uint64_t connectResult, const ProbeRequest& request);

}  // namespace mooncake::nvmeof_generic
