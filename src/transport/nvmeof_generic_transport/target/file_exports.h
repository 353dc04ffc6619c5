// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backing_file.h"
#include "export_record.h"
#include "namespace.h"
#include "nsid_set.h"
#include "nvmet_tree.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {

/// The files that one subsystem exports; removed with it. Thread-safe; no lock is held over a
/// system call.
class FileExports {
 public:
    FileExports(const NvmetTree& tree, std::string subsystemNqn, const TargetOptions& options);

    FileExports(const FileExports&) = delete;
    FileExports& operator=(const FileExports&) = delete;

    /// See Target::addFile().
    Result<ExportedFile> add(uint32_t nsid, const std::string& path, uint64_t size);
    /// See Target::removeFile().
    Result<> remove(uint32_t nsid);

 private:
    struct Export {
        std::string path;
        FileIdentity identity;
        bool changing = true;              // a call that adds or removes it is under way
        std::unique_ptr<Namespace> ns;     // touched only by the call that set `changing`
        std::optional<BackingFile> claim;  // keeps a block device claimed; likewise
    };

    Result<> reserve(uint32_t nsid, const BackingFile& file);
    void forget(uint32_t nsid);
    Result<ExportedFile> exportFile(uint32_t nsid, const BackingFile& file, uint64_t size,
                                    std::unique_ptr<Namespace>& ns);

    const NvmetTree tree_;
    const std::string subsystemNqn_;
    const TargetOptions options_;
    ExportRecord record_;

    std::mutex
        mutex_;  // of what follows; references into exports_ stay good while others come and go
    std::map<uint32_t, Export> exports_;       // by nsid
    std::map<FileIdentity, uint32_t> nsidOf_;  // which export a file belongs to
    NsidSet used_;                             // nsids that a remote host may have seen
};

}  // namespace mooncake::nvmeof_generic
