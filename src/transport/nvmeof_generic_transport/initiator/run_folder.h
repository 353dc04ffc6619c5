// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// The folder in which the processes of a machine that connect tell each other what concerns them
/// all: <runRoot>/nvmeof_generic, for its owner alone. Containers share it only where they share
/// /run. Thread-safe.
class RunFolder {
 public:
    /// Makes it where it is missing. Where that fails, or somebody else has a right to it, this is
    /// an object without a folder, which says so once in the log.
    explicit RunFolder(const std::string& runRoot);

    bool valid() const { return folder_.valid(); }
    /// Opens a file of it, for reading and writing; makes it where it is missing.
    UniqueFd openFile(const std::string& name) const;
    /// @return at most `limit` bytes; empty where it is missing, longer, or no regular file
    std::string read(const std::string& name, size_t limit) const;
    /// Replaces a file in one step.
    /// @return false where that fails; nothing is left behind then
    bool replace(const std::string& name, const std::string& content) const;
    int fd() const { return folder_.get(); }

 private:
    UniqueFd folder_;
};

/// Time since the machine's start, suspended or not: no clock that somebody sets.
std::chrono::milliseconds sinceBoot();

/// What tells this start of the machine from others; empty where the kernel does not say.
std::string bootId();

}  // namespace mooncake::nvmeof_generic
