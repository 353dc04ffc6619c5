// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mooncake::nvmeof_generic::admin {

/// Where the tool looks: other folders in unit tests.
struct Roots {
    std::string configfs = "/sys/kernel/config";
    std::string proc = "/proc";
    std::string sys = "/sys";
    std::string dev = "/dev";
    std::string etc = "/etc";
    std::string modules = "/lib/modules";  ///< holds a folder per kernel release

    std::string nvmet() const { return configfs + "/nvmet"; }
};

}  // namespace mooncake::nvmeof_generic::admin
