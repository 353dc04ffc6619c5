// SPDX-License-Identifier: Apache-2.0
#include "file_plan.h"

#include <set>
#include <unordered_map>

namespace mooncake::file_server {

FilePlan planFiles(const std::vector<ServedFile>& served, const std::vector<FileEntry>& wanted) {
    std::unordered_map<std::string, const FileEntry*> wantedAt;
    for (const FileEntry& entry : wanted) wantedAt.emplace(entry.path, &entry);
    FilePlan plan;
    std::set<std::string> staying;
    for (const ServedFile& file : served) {
        const auto found = wantedAt.find(file.entry.path);
        if (found != wantedAt.end() && *found->second == file.entry && !file.withdrawn) {
            staying.insert(file.entry.path);
        } else {
            plan.remove.push_back(file.entry.path);
        }
    }
    for (const FileEntry& entry : wanted) {
        if (!staying.contains(entry.path)) plan.add.push_back(entry);
    }
    return plan;
}

}  // namespace mooncake::file_server
