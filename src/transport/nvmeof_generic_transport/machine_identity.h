// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mooncake::nvmeof_generic {

/// What tells this machine, since it was started, and the network namespace of this process from
/// all others: a UUID version 5 (RFC 9562, 5.5) of the kernel's boot id and the number of the
/// namespace. Loopback addresses lead to the same place for all who have the same.
/// @return empty where the kernel does not say. May be called from any thread.
std::string machineIdentity();

/// The same for a given boot id and namespace.
std::string machineIdentity(const std::string& bootId, const std::string& networkNamespace);

/// The member `machine` of a segment's descriptor; engines whose descriptors have none neither
/// publish nor read it.
template <class Descriptor>
std::string machineOf(const Descriptor& descriptor) {
    if constexpr (requires { descriptor.machine; }) {
        return descriptor.machine;
    } else {
        return {};
    }
}
template <class Descriptor>
void setMachine([[maybe_unused]] Descriptor& descriptor) {
    if constexpr (requires { descriptor.machine; }) descriptor.machine = machineIdentity();
}

}  // namespace mooncake::nvmeof_generic
