// SPDX-License-Identifier: Apache-2.0
// A file or block device as this part sees it: numbered bytes that are read and written in whole
// blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "error.h"

namespace mooncake::store {

// The unit of everything that lies in a file. Direct I/O needs whole logical blocks, which have 512
// or 4096 bytes.
constexpr uint32_t kBlockBytes = 4096;

// Thread rule: any thread, several at once.
class BlockFile {
 public:
    virtual ~BlockFile() = default;

    // In bytes.
    virtual uint64_t size() const = 0;
    // Offset and length in whole blocks; memory of any alignment. kInvalid otherwise or beyond the
    // end, kUnavailable where the file cannot be read or written.
    virtual Result<> read(uint64_t offset, std::span<std::byte> into) = 0;
    virtual Result<> write(uint64_t offset, std::span<const std::byte> from) = 0;
    // Returns when what was written before the call survives a loss of power.
    virtual Result<> flush() = 0;
};

}  // namespace mooncake::store
