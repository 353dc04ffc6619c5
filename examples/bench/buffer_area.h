// SPDX-License-Identifier: Apache-2.0
// The memory a thread transfers from and to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "bench/failure.h"
#include "bench/transfer_api.h"

namespace mooncake::bench {

/// Memory aligned to 4096 bytes, backed by pages from the start and registered with the engine.
class BufferArea {
 public:
    /// @param api  must outlive the area
    /// @param area  set on success
    /// @return ExitCode::kIoError when there is no memory or the engine refuses it
    static MaybeFailure create(TransferApi& api, size_t bytes, std::unique_ptr<BufferArea>& area);

    /// Unregisters and frees, unless abandon() was called.
    ~BufferArea();
    BufferArea(const BufferArea&) = delete;
    BufferArea& operator=(const BufferArea&) = delete;

    char* data() const { return data_; }
    size_t size() const { return bytes_; }

    /// Leaves the memory where it is until the process ends: a request that has not ended may still
    /// be written into it.
    void abandon() { abandoned_ = true; }

 private:
    BufferArea(TransferApi& api, char* data, size_t bytes)
        : api_(api), data_(data), bytes_(bytes) {}

    TransferApi& api_;
    char* data_;
    size_t bytes_;
    bool registered_ = false;
    bool abandoned_ = false;
};

/// Whether `bytes` of buffers fit into the memory that is free now; starting anyway would bring the
/// kernel to kill some process.
/// @return ExitCode::kUsage with both figures and the flags to change
MaybeFailure checkMemory(uint64_t bytes);

}  // namespace mooncake::bench
