// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

namespace mooncake::nvmeof_generic {

/// Where a process runs: UUIDs version 5 (RFC 9562, 5.5), or empty where that is not known.
struct MachineIdentity {
    /// Of the kernel's boot id and the number of the network namespace. Loopback addresses lead to
    /// the same place for all who have the same.
    std::string machine;
    /// Of the boot id alone: the same for all containers of a machine.
    std::string kernel;

    bool operator==(const MachineIdentity&) const = default;
};

/// Of this process. May be called from any thread.
MachineIdentity machineIdentity();

/// The same for a given boot id and namespace.
MachineIdentity machineIdentity(const std::string& bootId, const std::string& networkNamespace);

/// The members `machine` and `kernel` of a segment's descriptor; engines whose descriptors have
/// none neither publish nor read them.
template <class Descriptor>
MachineIdentity machineOf([[maybe_unused]] const Descriptor& descriptor) {
    if constexpr (requires { descriptor.machine, descriptor.kernel; }) {
        return {descriptor.machine, descriptor.kernel};
    } else {
        return {};
    }
}
template <class Descriptor>
void setMachine([[maybe_unused]] Descriptor& descriptor) {
    if constexpr (requires { descriptor.machine, descriptor.kernel; }) {
        auto [machine, kernel] = machineIdentity();
        descriptor.machine = std::move(machine);
        descriptor.kernel = std::move(kernel);
    }
}

}  // namespace mooncake::nvmeof_generic
