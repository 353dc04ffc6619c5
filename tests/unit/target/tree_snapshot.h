// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

namespace mooncake::nvmeof_generic {

/// What is below a folder: for each relative path "folder", "-> target" of a link, or the content
/// of a file. Two equal snapshots mean that nothing was left behind and nothing touched.
using TreeSnapshot = std::map<std::string, std::string>;

TreeSnapshot takeSnapshot(const std::string& root);

/// The part of a snapshot whose paths contain `text`.
TreeSnapshot pathsWith(const TreeSnapshot& snapshot, const std::string& text);

}  // namespace mooncake::nvmeof_generic
