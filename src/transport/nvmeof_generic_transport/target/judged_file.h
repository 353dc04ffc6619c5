// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "backing_file.h"
#include "export_plan.h"

namespace mooncake::nvmeof_generic {

/// A file that can be exported as far as looking at it shows, and how. What Target::addFile()
/// starts with, and what a check without a start tries, too.
struct JudgedFile {
    enum class Step { kOpen, kSize };

    BackingFile file;
    ExportPlan plan;

    /// Changes nothing. A block device is held while the result lives.
    /// @param failedAt  receives what an error is about, may be nullptr
    /// @return what Target::addFile() says of the file
    static Result<JudgedFile> open(const std::string& path, uint64_t size,
                                   const BackingFile::Rules& rules, Step* failedAt = nullptr);
};

}  // namespace mooncake::nvmeof_generic
