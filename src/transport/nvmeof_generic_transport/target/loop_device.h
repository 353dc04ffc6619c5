// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// A loop device over the first bytes of a file. It detaches itself from the file when nothing has
/// it open any more: neither this object nor a namespace on it, however the process ends.
class LoopDevice {
 public:
    /// @param backingFd  open for reading and writing; the loop device keeps its own reference
    /// @param size  bytes, a multiple of blockSize
    /// @param blockSize  logical block size in bytes, a power of two from 512 to the page size
    /// @param directIo  without the page cache, where file system and block size allow it
    /// @param devRoot  where loop-control and loopN are
    /// @return ENOENT (no loop module), EACCES ...
    static Result<LoopDevice> attach(int backingFd, uint64_t size, uint32_t blockSize,
                                     bool directIo, const std::string& devRoot);

    int fd() const { return fd_.get(); }

 private:
    explicit LoopDevice(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace mooncake::nvmeof_generic
