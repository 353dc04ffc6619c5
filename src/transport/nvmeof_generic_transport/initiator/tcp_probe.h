// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

/// Asks whether an NVMe/TCP target answers at `address`: connects, exchanges the first pair of PDUs
/// (ICReq, ICResp) and closes. The kernel would do the same while it holds one mutex for all
/// connects of the machine, 10 s long for a peer that accepts and is silent: asking first keeps bad
/// targets from holding up good ones.
/// @param address  checked (checkAddress()), of type tcp
/// @return ECONNREFUSED, EHOSTUNREACH ... as connect(2); ETIMEDOUT at the deadline; EPROTO for an
/// answer that is not NVMe/TCP; ECANCELED when stopped; EADDRNOTAVAIL for an unknown interface
Result<> probeTcpTarget(const TransportAddress& address, Clock::time_point deadline,
                        const std::stop_token& stop);

}  // namespace mooncake::nvmeof_generic
