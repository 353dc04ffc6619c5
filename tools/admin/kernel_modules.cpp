// SPDX-License-Identifier: Apache-2.0
#include "kernel_modules.h"

#include <algorithm>
#include <sstream>

#include "text_file.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

// Files are called nvmet-tcp.ko, their folders in sysfs nvmet_tcp: both are the same to modprobe.
std::string withUnderscores(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

// Whether one of the paths at the begin of a line, "kernel/drivers/nvme/target/nvmet.ko.xz: ...",
// is the module's.
bool lists(const std::string& file, const std::string& name) {
    std::istringstream lines(readText(file).value_or(""));
    for (std::string line; std::getline(lines, line);) {
        line.resize(std::min(line.find(':'), line.size()));
        line.erase(0, line.find_last_of('/') + 1);
        line.resize(std::min(line.find(".ko"), line.size()));
        if (withUnderscores(line) == name) return true;
    }
    return false;
}

}  // namespace

ModuleState moduleState(const Roots& roots, const std::string& name) {
    const std::string wanted = withUnderscores(name);
    if (exists(roots.sys + "/module/" + wanted)) return ModuleState::kLoaded;
    const std::string folder =
        roots.modules + "/" + readLine(roots.proc + "/sys/kernel/osrelease").value_or("");
    if (lists(folder + "/modules.builtin", wanted)) return ModuleState::kLoaded;
    if (lists(folder + "/modules.dep", wanted)) return ModuleState::kAvailable;
    return ModuleState::kMissing;
}

}  // namespace mooncake::nvmeof_generic::admin
