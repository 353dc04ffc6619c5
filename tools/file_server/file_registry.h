// SPDX-License-Identifier: Apache-2.0
// What serves files: the engine, or in its place what a test has.
#pragma once

#include <cstdint>
#include <string>

#include "config_sections.h"
#include "transfer_engine.h"

namespace mooncake::file_server {

class FileRegistry {
 public:
    virtual ~FileRegistry() = default;

    /// @param size  bytes
    /// @return the file's number; or EIO, with the cause in the log already
    virtual Result<FileBufferID> add(const std::string& path, uint64_t size) = 0;
    /// @return false, with the cause in the log, where the file is still served or held
    virtual bool remove(const std::string& path) = 0;
    /// Whether the transport serves it still, which it does not after the file was truncated,
    /// replaced or the like.
    virtual bool serves(FileBufferID id) = 0;
};

/// The engine's thread rules hold.
class EngineRegistry : public FileRegistry {
 public:
    /// @param engine  with a transport that serves files; must outlive this object
    explicit EngineRegistry(TransferEngine& engine) : engine_(engine) {}

    Result<FileBufferID> add(const std::string& path, uint64_t size) override;
    bool remove(const std::string& path) override;
    bool serves(FileBufferID id) override;

 private:
    TransferEngine& engine_;
};

}  // namespace mooncake::file_server
