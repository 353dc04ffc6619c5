// SPDX-License-Identifier: Apache-2.0
// The address that a target publishes, where that is not the one at which it listens.
#pragma once

#include <string_view>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// Which address others are to use for a target that listens at `listen`: behind address
/// translation, or at every address of its host, that is another one.
/// @param advertise  "192.0.2.10", "192.0.2.10:30420", "2001:db8::10", "[2001:db8::10]:30420":
///     numeric, of either family, without an interface; without a port that of `listen` holds.
///     Empty: `listen` itself
/// @return EINVAL for anything else; and without `advertise` where `listen` is unspecified
///     (0.0.0.0, ::) or names an interface of this host (fe80::1%eth0): to another host it would
///     mean another machine, or nothing
Result<TransportAddress> publishedAddress(const TransportAddress& listen,
                                          std::string_view advertise);

/// The same for all addresses of a target.
/// @param advertise  a list, apart by commas, of one for each of `listen`; empty: `listen` itself
/// @return also EINVAL where the list has another length, or two that are published are the same
Result<TransportAddresses> publishedAddresses(const TransportAddresses& listen,
                                              std::string_view advertise);

}  // namespace mooncake::nvmeof_generic
