// SPDX-License-Identifier: Apache-2.0
// The target part: exports local files and block devices through the kernel's nvmet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

class ConfigTree;  // the operations on configfs, replaceable so that tests can fail each one

struct TargetOptions {
    std::vector<std::string> allowedHosts;               ///< host NQNs; empty: any host may connect
    std::string nvmetRoot = "/sys/kernel/config/nvmet";  ///< another folder in unit tests
};

/// What a remote host sees of an exported file.
struct ExportedFile {
    uint32_t nsid;
    std::string path;  ///< as registered
    uint64_t
        size;  ///< bytes reachable from a remote host: the wanted size, rounded down to blockSize
    uint32_t blockSize;  ///< logical block size of the namespace in bytes
};

/// One incarnation of a target: one subsystem with a new random NQN, on one port. Thread-safe.
class Target {
 public:
    /// Removes the orphans of dead targets of this transport, makes the subsystem and links it to a
    /// port at `address` (shared with other live targets of this transport at the same address). On
    /// failure everything made is removed again.
    /// @param tree  nullptr: the real file system
    /// @return EINVAL (address), ENOENT (configfs not mounted or nvmet not loaded), EACCES (not
    /// root), EADDRNOTAVAIL, EADDRINUSE ...; the
    ///     message says which and what to do
    static Result<std::unique_ptr<Target>> start(const TransportAddress& address,
                                                 const TargetOptions& options,
                                                 std::shared_ptr<ConfigTree> tree = nullptr);

    /// Removes every object this target made, and nothing else.
    virtual ~Target() = default;

    virtual const std::string& subsystemNqn() const = 0;
    virtual const TransportAddress& address() const = 0;

    /// Exports a regular file or block device as namespace `nsid`. What is judged is what is
    /// exported: the file is opened once. A file may be exported once only, whatever its name.
    /// @param nsid  1 to 2^32-2, never used before in this target
    /// @param path  absolute or relative to the working directory
    /// @param size  bytes to export, at least one block and at most the physical size
    /// @return EINVAL (kind of file, size, nsid), ENOENT, EACCES, EEXIST (already exported), EMFILE
    /// (1024 files), ENOSPC ...; nothing is left behind
    virtual Result<ExportedFile> addFile(uint32_t nsid, const std::string& path, uint64_t size) = 0;

    /// Takes a file back. Waits for its I/O in flight, without holding up other files.
    /// @return ENOENT when `nsid` is not exported
    virtual Result<> removeFile(uint32_t nsid) = 0;
};

}  // namespace mooncake::nvmeof_generic
