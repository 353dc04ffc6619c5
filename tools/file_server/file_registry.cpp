// SPDX-License-Identifier: Apache-2.0
#include "file_registry.h"

#include <algorithm>
#include <cerrno>

#include "error.h"

namespace mooncake::file_server {

Result<FileBufferID> EngineRegistry::add(const std::string& path, uint64_t size,
                                         const LocalFileOptions& options,
                                         std::optional<FileBufferID> wanted) {
    FileBufferID id = wanted.value_or(0);
    int rc = wanted ? engine_.registerLocalFileAs(path, size, id, options) : ERR_ADDRESS_OVERLAPPED;
    if (rc == ERR_ADDRESS_OVERLAPPED) rc = engine_.registerLocalFile(path, size, id, options);
    if (rc != 0) return Error{EIO, "the log above says why (error " + std::to_string(rc) + ")"};
    return id;
}

bool EngineRegistry::remove(const std::string& path) {
    return engine_.unregisterLocalFile(path) == 0;
}

void EngineRegistry::withdraw(const std::vector<std::string>& paths) {
    engine_.withdrawLocalFiles(paths);
}

void EngineRegistry::beginBatch() {
    if (!batch_) batch_.emplace(engine_);
}

std::vector<std::string> EngineRegistry::endBatch() {
    std::vector<std::string> refused;
    if (batch_) batch_->publish(&refused);
    batch_.reset();
    return refused;
}

bool EngineRegistry::published() {
    const auto metadata = engine_.getMetadata();
    return metadata && metadata->publications().current;
}

bool EngineRegistry::serves(FileBufferID id) {
    // The transport takes a file that it has lost out of the descriptor.
    const auto metadata = engine_.getMetadata();
    const auto descriptor = metadata ? metadata->getSegmentDescByID(LOCAL_SEGMENT_ID) : nullptr;
    if (!descriptor) return true;
    const auto& files = descriptor->file_buffers;
    return std::any_of(files.begin(), files.end(),
                       [id](const auto& file) { return file.id == id; });
}

}  // namespace mooncake::file_server
