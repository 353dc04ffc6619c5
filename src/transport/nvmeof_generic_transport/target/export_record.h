// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// What a target exports, by names that a person knows. The kernel does not keep them: all that
/// configfs shows of a file is the number of a descriptor that is closed by now.
struct ExportedNames {
    struct File {
        std::string path;  ///< absolute, as the kernel named it when it was exported
        uint64_t size;     ///< bytes that a remote host reaches
    };
    std::string segment;             ///< may be empty
    std::map<uint32_t, File> files;  ///< by nsid
};

/// The names, kept for the operator's tool in a memory file (memfd_create(2)) of the owner, which
/// others find among its descriptors by the subsystem's NQN. It dies with its process and leaves
/// nothing behind. Where it cannot be made, the tool does without. Thread-safe.
class ExportRecord {
 public:
    ExportRecord(std::string subsystemNqn, std::string segment);

    void put(uint32_t nsid, std::string path, uint64_t size);
    void remove(uint32_t nsid);

 private:
    void publish();

    const std::string subsystemNqn_;
    std::mutex mutex_;
    ExportedNames names_;
    UniqueFd file_;
};

/// The names of a live target.
/// @param procRoot  where /proc is
/// @param pid  the owner of the subsystem
/// @return nothing when the process is gone, not ours to look into, or keeps no such record
std::optional<ExportedNames> readExportRecord(const std::string& procRoot, pid_t pid,
                                              const std::string& subsystemNqn);

}  // namespace mooncake::nvmeof_generic
