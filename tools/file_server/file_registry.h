// SPDX-License-Identifier: Apache-2.0
// What serves files: the engine, or in its place what a test has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config_sections.h"
#include "transfer_engine.h"

namespace mooncake::file_server {

class FileRegistry {
 public:
    virtual ~FileRegistry() = default;

    /// @param size  bytes
    /// @param wanted  the number that the file shall have; none, or one that was used before: it
    ///     gets another
    /// @return the file's number; or EIO, with the cause in the log already
    virtual Result<FileBufferID> add(const std::string& path, uint64_t size,
                                     const LocalFileOptions& options,
                                     std::optional<FileBufferID> wanted) = 0;
    /// @return false, with the cause in the log, where the file is still served or held
    virtual bool remove(const std::string& path) = 0;
    /// Takes files that are to be removed out of the published record, all at once.
    virtual void withdraw(const std::vector<std::string>& paths) = 0;
    /// What is added until endBatch() is published all at once, by that. Where a batch has begun,
    /// it goes on.
    virtual void beginBatch() = 0;
    /// @return paths of added files that are not served after all, with the cause in the log
    virtual std::vector<std::string> endBatch() = 0;
    /// Whether the transport serves it still, which it does not after the file was truncated,
    /// replaced or the like.
    virtual bool serves(FileBufferID id) = 0;
};

/// The engine's thread rules hold, but for batches: one thread uses them.
class EngineRegistry : public FileRegistry {
 public:
    /// @param engine  with a transport that serves files, or one that gets it in a batch; must
    /// outlive this object
    explicit EngineRegistry(TransferEngine& engine) : engine_(engine) {}

    Result<FileBufferID> add(const std::string& path, uint64_t size,
                             const LocalFileOptions& options,
                             std::optional<FileBufferID> wanted) override;
    bool remove(const std::string& path) override;
    void withdraw(const std::vector<std::string>& paths) override;
    void beginBatch() override;
    std::vector<std::string> endBatch() override;
    bool serves(FileBufferID id) override;
    /// Whether others find the record as it is now. It is published again as soon as the metadata
    /// service answers, but not as long as another process has the segment's name.
    bool published();

 private:
    TransferEngine& engine_;
    std::optional<TransferEngine::FileBatch> batch_;
};

}  // namespace mooncake::file_server
