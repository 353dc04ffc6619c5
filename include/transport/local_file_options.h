// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mooncake {

// How a file is offered to other nodes.
struct LocalFileOptions {
    // The kernel fails every remote write, and leaves the bytes alone.
    bool read_only = false;
    // Whether each folder on the way to the file must belong to root or the process's user, and
    // nobody else may write to it. Turn it off only for a path that no other user can change.
    bool check_path = true;
};

// What a transport is, beside Transport, if it serves files with options. An engine that knows
// this interface finds it with dynamic_cast. Thread rule and results are those of
// Transport::registerLocalFile.
class FileExporter {
 public:
    virtual ~FileExporter() = default;

    virtual int exportLocalFile(uint32_t id, const std::string& path, std::size_t size,
                                const LocalFileOptions& options) = 0;
};

}  // namespace mooncake
