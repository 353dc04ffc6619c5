// SPDX-License-Identifier: Apache-2.0
// Where a target listens: transport type, address family, address and port. Every function may be
// called from any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

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

/// All addresses at which one subsystem is to be reached: one or more, no two of them the same. The
/// first is the one for whoever knows but one.
using TransportAddresses = std::vector<TransportAddress>;

/// A host with more network interfaces for one subsystem is not known.
constexpr size_t kMostAddresses = 16;

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

/// Checks that there are 1 to kMostAddresses, each as checkAddress() does, and that no two are the
/// same endpoint.
/// @return EINVAL that names the address and what is wrong with it
Result<> checkAddresses(const TransportAddresses& addresses);

/// Takes an address whose fields may be lists, apart by commas: one value holds for all addresses,
/// and otherwise the first value is the first address's, the second the second's. Checks them.
/// @return EINVAL for lists of different lengths, and what checkAddresses() says
Result<TransportAddresses> expandLists(const TransportAddress& lists);

/// Parses "trtype=<tcp|rdma> adrfam=<ipv4|ipv6> traddr=<address> trsvcid=<port>" (any order, blanks
/// between; adrfam and trsvcid may be missing), each value a list or not, see expandLists().
/// Unknown keys, keys given twice and empty values are errors.
/// @return EINVAL that names the word, or what expandLists() says, and gives the form
Result<TransportAddresses> parseAddresses(std::string_view text);

/// The same string form, for log lines and errors.
std::string toString(const TransportAddress& address);
/// Each in its form, apart by commas and blanks.
std::string toString(const TransportAddresses& addresses);

}  // namespace mooncake::nvmeof_generic
