// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// A file of a segment as its node has published it.
struct RemoteFile {
    uint32_t nsid = 0;  ///< under which the node exports it now
    uint64_t size = 0;  ///< bytes
    /// What makes it this file: the same text in each record of its node means the same file, and
    /// no two files of one record have the same.
    std::string identity;
    std::string path;           ///< on its node, for messages
    bool nsidIsItsToo = false;  ///< requests may name it by its nsid, beside its number
    uint32_t align = 1;         ///< bytes; what a write should be a multiple of, a power of two

    bool operator==(const RemoteFile&) const = default;
};

/// By the number that requests name the file by.
using RemoteFiles = std::unordered_map<uint32_t, RemoteFile>;

/// What a segment's node has published, after it was checked.
struct RemoteDescriptor {
    std::string segment;           ///< its name, of any bytes
    TransportAddresses addresses;  ///< one or more
    std::string subsystemNqn;
    RemoteFiles files;
    /// The engine numbers the files: no number ever means two of them in this process. Else the
    /// numbers are those of the node, and begin anew when it does.
    bool numbersLast = false;
    /// Its node says that it runs on another kernel than this process. False: on the same, or it
    /// does not say.
    bool onAnotherKernel = false;
};

}  // namespace mooncake::nvmeof_generic
