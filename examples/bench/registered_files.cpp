// SPDX-License-Identifier: Apache-2.0
#include "bench/registered_files.h"

namespace mooncake::bench {

MaybeFailure RegisteredFiles::registerAll(const std::vector<LocalFile>& files) {
    TransferEngine::FileBatch batch(engine_);
    for (const LocalFile& file : files) {
        FileBufferID id = 0;
        const int rc = engine_.registerLocalFile(file.path, file.size, id);
        if (rc != 0) {
            (void)unregisterAll();
            return Failure{ExitCode::kIoError, "cannot register file '" + file.path + "' with " +
                                                   std::to_string(file.size) + " bytes (error " +
                                                   std::to_string(rc) +
                                                   "): the log above says why"};
        }
        paths_.push_back(file.path);
    }
    std::vector<std::string> refused;
    const int rc = batch.publish(&refused);
    if (rc == 0 && refused.empty()) return std::nullopt;
    for (const std::string& path : refused) std::erase(paths_, path);
    (void)unregisterAll();
    return Failure{ExitCode::kIoError, "cannot publish the files (error " + std::to_string(rc) +
                                           "): the log above says why"};
}

MaybeFailure RegisteredFiles::unregisterAll() {
    std::string left;
    engine_.withdrawLocalFiles(paths_);
    for (; !paths_.empty(); paths_.pop_back()) {
        const int rc = engine_.unregisterLocalFile(paths_.back());
        if (rc != 0) left += " '" + paths_.back() + "' (error " + std::to_string(rc) + ")";
    }
    if (left.empty()) return std::nullopt;
    return Failure{ExitCode::kIoError, "cannot unregister" + left + ": the log above says why"};
}

}  // namespace mooncake::bench
