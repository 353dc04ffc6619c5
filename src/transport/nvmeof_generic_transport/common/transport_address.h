// SPDX-License-Identifier: Apache-2.0
// Where a target listens: transport type, address family, address and port. Every function may be
// called from any thread.
#pragma once

#include <string>
#include <string_view>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Strings in the form in which nvmet's configfs, libnvme and the segment descriptor all take them.
struct TransportAddress {
    std::string trtype;            ///< "tcp" or "rdma"
    std::string adrfam = "ipv4";   ///< "ipv4" or "ipv6"
    std::string traddr;            ///< numeric address of that family
    std::string trsvcid = "4420";  ///< port, decimal, 1 to 65535

    bool operator==(const TransportAddress&) const = default;
};

/// Checks every field: known type and family, numeric address of that family (IPv6 may carry a
/// "%interface" scope), port in range without sign or leading zero. Nothing that passed can inject
/// a further option or path.
/// @return EINVAL that names the field, its value and what is allowed
Result<> checkAddress(const TransportAddress& address);

/// Whether it stands for every address of the host (0.0.0.0, ::).
bool isUnspecified(const TransportAddress& address);

/// Whether it names an interface of its host (fe80::1%eth0), which means nothing on another.
bool isScoped(const TransportAddress& address);

/// Takes the first word off an argument string: what stands between blanks and tabs.
/// @param text  what is left of the string; begins behind the word afterwards
/// @return the word, a part of what `text` shows; empty where there is none left
std::string_view takeWord(std::string_view& text);

/// Parses "trtype=<tcp|rdma> adrfam=<ipv4|ipv6> traddr=<address> trsvcid=<port>" (any order, blanks
/// between; adrfam and trsvcid may be missing) and checks it. Unknown keys, keys given twice and
/// empty values are errors.
/// @return EINVAL that names the word, or what checkAddress() says, and gives the form
Result<TransportAddress> parseAddress(std::string_view text);

/// The same string form, for log lines and errors.
std::string toString(const TransportAddress& address);

}  // namespace mooncake::nvmeof_generic
