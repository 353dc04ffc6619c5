// SPDX-License-Identifier: Apache-2.0
#include "controller_node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {

UniqueFd openControllerNode(const std::string& devRoot, int controllerDir,
                            const std::string& name) {
    UniqueFd node(open((devRoot + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!node.valid() || fstat(node.get(), &status) != 0) return {};
    const auto number = readAttribute(controllerDir, "dev");
    const std::string its =
        std::to_string(major(status.st_rdev)) + ":" + std::to_string(minor(status.st_rdev));
    return number.ok() && number.value() == its ? std::move(node) : UniqueFd();
}

}  // namespace mooncake::nvmeof_generic
