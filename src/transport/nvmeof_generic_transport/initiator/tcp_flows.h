// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mooncake::nvmeof_generic {

/// Whether some TCP connection of this network namespace to an address has sent the same data
/// several times, for more than a second, and got no sign that it arrived. Connections of the
/// kernel's own count too (/proc/net/tcp, proc(5): the columns tx_queue and retrnsmt).
/// @param traddr  numeric, IPv4 or IPv6
/// @param source  this end's address; empty: any
/// @param procRoot  "/proc", or another folder in unit tests
bool waitsInVain(const std::string& traddr, const std::string& trsvcid,
                 const std::string& source = "", const std::string& procRoot = "/proc");

/// Whether some TCP connection of this network namespace to an address has been shut down by this
/// end and not been closed yet, and may still send data. Other parameters as above.
/// @return true also where the kernel's table cannot be read, for want of descriptors, say
bool closesWithData(const std::string& traddr, const std::string& trsvcid,
                    const std::string& procRoot = "/proc");

}  // namespace mooncake::nvmeof_generic
