// SPDX-License-Identifier: Apache-2.0
// A file of the store, read through the engine, whoever serves it.
#pragma once

#include "block_file.h"
#include "transfer_engine.h"
#include "ways.h"

namespace mooncake::store {

// For tables of contents and superblocks. Only reads: write() and flush() are refused.
class EngineFile : public BlockFile {
 public:
    // @param size  of the file, bytes
    EngineFile(TransferEngine& engine, const Way& way, uint64_t size)
        : engine_(engine), way_(way), size_(size) {}

    uint64_t size() const override { return size_; }
    Result<> read(uint64_t offset, std::span<std::byte> into) override;
    Result<> write(uint64_t offset, std::span<const std::byte> from) override;
    Result<> flush() override;

 private:
    TransferEngine& engine_;
    const Way way_;
    const uint64_t size_;
};

}  // namespace mooncake::store
