// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

namespace mooncake {

class Topology {
 public:
    Topology();
    ~Topology();

 private:
    std::map<std::string, std::vector<std::string>> matrix_;
};

}  // namespace mooncake
