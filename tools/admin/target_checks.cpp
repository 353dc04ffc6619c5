// SPDX-License-Identifier: Apache-2.0
#include <sstream>

#include "check_parts.h"
#include "text_file.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

Check checkConfigfs(const Roots& roots) {
    std::istringstream lines(readText(roots.proc + "/self/mounts").value_or(""));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream fields(line);
        std::string device, place, type, options;
        fields >> device >> place >> type >> options;
        if (type != "configfs" || place != roots.configfs) continue;
        if (("," + options + ",").find(",ro,") == std::string::npos) {
            return ok("configfs is mounted at " + place);
        }
        return {Verdict::kFail, "configfs is mounted read-only at " + place,
                "mount -o remount,rw " + place};
    }
    return {Verdict::kFail, "configfs is not mounted at " + roots.configfs,
            "modprobe configfs; mount -t configfs none " + roots.configfs +
                "; in a container: mount the host's writable"};
}

}  // namespace

std::vector<Check> checkTarget(const Roots& roots, const std::string& trtype) {
    return {
        coded("configfs", checkConfigfs(roots)),
        checkModule(roots, "nvmet", Verdict::kFail, Verdict::kFail),
        // The kernel loads it with the first port, where it can.
        checkModule(roots, "nvmet-" + trtype, Verdict::kWarn, Verdict::kFail),
        coded("nvmet_tree",
              checkWritable(roots.nvmet() + "/subsystems", Verdict::kFail, "modprobe nvmet")),
        // Whole files do without.
        checkModule(roots, "loop", Verdict::kWarn, Verdict::kWarn),
        coded("loop_devices",
              checkWritable(roots.dev + "/loop-control", Verdict::kWarn,
                            "modprobe loop; without it only whole files can be exported")),
        checkAuthentication(roots, "nvmet", "a target that is given keys for hosts does not start"),
    };
}

}  // namespace mooncake::nvmeof_generic::admin
