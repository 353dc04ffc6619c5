// SPDX-License-Identifier: Apache-2.0
// The tool beside real nodes, on a directory of either kind.
#pragma once

#include <json/json.h>

#include <string>
#include <vector>

#include "directory_kinds.h"

namespace mooncake::test {

struct Said {
    int status = -1;
    std::string out;
    std::string err;

    Json::Value json() const;
};

class ToolTest : public DirectoryKindsTest {
 protected:
    // Runs the tool on the directory.
    Said tool(std::vector<std::string> words, const std::string& input = "") const;
    // Its JSON, where it ends well.
    Json::Value ask(std::vector<std::string> words) const;
};

}  // namespace mooncake::test
