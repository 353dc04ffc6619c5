// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// A host connected to a subsystem of this kernel's own target: what the rest of the world sees of
/// it. It talks to the kernel alone, without the initiator part.
class RemoteHost {
 public:
    /// Tries to connect. @param hostNqn  a host id is made of it
    RemoteHost(const TransportAddress& address, const std::string& subsystemNqn,
               const std::string& hostNqn = "nqn.2014-08.org.nvmexpress:test-host");
    ~RemoteHost();
    RemoteHost(const RemoteHost&) = delete;
    RemoteHost& operator=(const RemoteHost&) = delete;

    bool connected() const { return !controller_.empty(); }

    /// Waits for the block device of a namespace. @return "/dev/nvme0n1", or "" if none appears
    std::string device(uint32_t nsid) const;
    /// The controller's own character device.
    std::string controller() const { return "/dev/" + controller_; }
    /// Opens a namespace for direct I/O. Where two hosts of this kernel are connected to one
    /// subsystem, native multipath makes one device of it, with a path over each.
    UniqueFd open(uint32_t nsid) const;

 private:
    std::string subsystemNqn_;
    std::string controller_;  // "nvme0"
};

/// The size of an open block device in bytes.
uint64_t deviceSize(int fd);
/// Its logical block size in bytes.
uint32_t deviceBlockSize(int fd);

}  // namespace mooncake::nvmeof_generic
