// SPDX-License-Identifier: Apache-2.0
// The files that this server serves, brought to what the configuration asks for.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "file_plan.h"
#include "file_registry.h"

namespace mooncake::file_server {

/// Not thread-safe.
class ServedFiles {
 public:
    struct Outcome {
        size_t added = 0;
        size_t removed = 0;
        size_t failed = 0;  ///< wanted and not served, or not wanted and still held
        /// What the failures were about: a file's path, and why.
        std::vector<std::pair<std::string, std::string>> failures = {};
    };

    /// @param registry  must outlive this object
    explicit ServedFiles(FileRegistry& registry) : registry_(registry) {}

    /// Takes back what is not wanted any more, then serves what is new; what stays is not touched.
    /// A file that fails is logged and does not keep the others. What the transport has withdrawn
    /// is served anew, under a number that was not used before. All others have the numbers of
    /// planNumbers().
    /// @param stop  asked before each file; true leaves the rest as it is
    Outcome apply(const std::vector<FileEntry>& wanted, const std::function<bool()>& stop);

    size_t count() const { return files_.size(); }

 private:
    struct Entry {
        FileEntry file;
        FileBufferID id;
    };

    void addAll(const std::vector<FileEntry>& files,
                const std::unordered_map<std::string, FileBufferID>& numbers,
                const std::function<bool()>& stop, Outcome& outcome);
    void add(const FileEntry& file, FileBufferID number, Outcome& outcome);
    void remove(const std::string& path, Outcome& outcome);

    FileRegistry& registry_;
    std::vector<Entry> files_;
    std::set<FileBufferID> used_;  // numbers that some file has had: no one gets them again
};

}  // namespace mooncake::file_server
