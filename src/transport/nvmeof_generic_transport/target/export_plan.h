// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// What decides how a file can be exported. Sizes in bytes.
struct FileGeometry {
    uint64_t size;
    /// A power of two, 512 at least; I/O in such blocks is what the file takes best. Not above 4096
    /// for a regular file, which is where nvmet stops.
    uint32_t blockSize;
    /// The smallest block size that nvmet may give a namespace on this very file, `blockSize` being
    /// the largest; 0 when it gives none that works (on overlayfs it takes 1).
    uint32_t nvmetBlockSize;
};

struct ExportPlan {
    uint64_t size;       ///< bytes that a remote host reaches
    uint32_t blockSize;  ///< the namespace's, or a multiple of it
    /// nvmet always exports a whole file, in blocks of its own choice. Where that is not what is
    /// wanted, a loop device between the two cuts it to size.
    bool throughLoop;
};

/// Decides what of a file is exported, and how.
/// @param wanted  bytes the user asked for
/// @param name  of the file, for errors
/// @return EINVAL when `wanted` is 0, less than a block or more than the file has
Result<ExportPlan> planExport(const FileGeometry& geometry, uint64_t wanted,
                              const std::string& name);

}  // namespace mooncake::nvmeof_generic
