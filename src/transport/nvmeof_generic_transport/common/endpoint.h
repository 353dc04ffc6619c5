// SPDX-License-Identifier: Apache-2.0
// What the text of an address means.
#pragma once

#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// Whether two addresses name the same listener, however they are written ("::1" and "0:0::1").
bool sameEndpoint(const TransportAddress& a, const TransportAddress& b);

/// Whether two lists name the same listeners, in whatever order.
/// @param a, b  that checkAddresses() accepts
bool sameEndpoints(const TransportAddresses& a, const TransportAddresses& b);

/// Whether listeners at the two addresses are in each other's way: the same one, or one of them at
/// every address of the host.
bool collide(const TransportAddress& a, const TransportAddress& b);

/// Whether only this host can reach the address. @param address  one that checkAddress() accepts
bool isLoopback(const TransportAddress& address);

}  // namespace mooncake::nvmeof_generic
