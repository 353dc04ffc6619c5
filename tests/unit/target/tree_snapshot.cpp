// SPDX-License-Identifier: Apache-2.0
#include "tree_snapshot.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace mooncake::nvmeof_generic {

TreeSnapshot takeSnapshot(const std::string& root) {
    TreeSnapshot snapshot;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        std::string& content = snapshot[entry.path().lexically_relative(root)];
        if (entry.is_symlink()) {
            content = "-> " + std::filesystem::read_symlink(entry.path()).string();
        } else if (entry.is_directory()) {
            content = "folder";
        } else {
            std::ifstream file(entry.path());  // configfs has attributes that only take writes
            content.assign(std::istreambuf_iterator<char>(file), {});
        }
    }
    return snapshot;
}

TreeSnapshot pathsWith(const TreeSnapshot& snapshot, const std::string& text) {
    TreeSnapshot part;
    for (const auto& [path, content] : snapshot) {
        if (path.find(text) != std::string::npos) part[path] = content;
    }
    return part;
}

}  // namespace mooncake::nvmeof_generic
