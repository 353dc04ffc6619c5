// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// A loop device over the first bytes of a file. Discards do not reach the file. It detaches itself
/// from the file when nothing has it open any more: neither this object nor a namespace on it,
/// however the process ends.
class LoopDevice {
 public:
    /// Takes a free one, over no file yet: its size is 0, and nobody else can set it up before
    /// attachReadOnly() does. nvmet opens devices for writing, which the kernel refuses for one
    /// that is read-only: it has to open it before that.
    static Result<LoopDevice> reserve(const std::string& devRoot);

    /// Sets up what reserve() has taken. The kernel fails whatever would change the file
    /// (loop_handle_cmd() in drivers/block/loop.c), however the device was opened.
    /// @param backingFd  open for reading only
    /// @param size  bytes, a multiple of 512, which is the block size: nvmet took over what an
    ///     empty loop device has
    Result<> attachReadOnly(int backingFd, uint64_t size, bool directIo);

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
    LoopDevice(ProcessFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    ProcessFd fd_;
    std::string path_;
};

}  // namespace mooncake::nvmeof_generic
