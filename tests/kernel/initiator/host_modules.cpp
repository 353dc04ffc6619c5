// SPDX-License-Identifier: Apache-2.0
#include "host_modules.h"

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "child_process.h"

namespace initiator_test {
namespace {

// Not modprobe -r, which fails when it cannot unload all that the module depends on, too.
void unload(std::initializer_list<const char*> modules) {
    for (const char* module : modules) {
        const std::string folder = std::string("/sys/module/") + module;
        if (std::ifstream(folder + "/refcnt").good()) run("rmmod", {module});
    }
}

}  // namespace

void run(const char* program, std::initializer_list<const char*> arguments) {
    std::vector<std::string> command{program};
    command.insert(command.end(), arguments.begin(), arguments.end());
    test_support::ChildProcess child(command);
    if (child.wait() == 0) return;
    std::string text;
    for (const auto& word : command) text += word + " ";
    throw std::runtime_error(text + "failed: " + child.output());
}

void useMultipath(bool native) {
    char now = 0;
    std::ifstream("/sys/module/nvme_core/parameters/multipath") >> now;
    if (now == (native ? 'Y' : 'N')) return;
    // If an NVMe disk of this machine is in use, this fails, and the test with it: it needs a
    // guest.
    unload({"nvme_tcp", "nvme_rdma", "nvmet_tcp", "nvmet_rdma", "nvmet", "nvme_fabrics", "nvme",
            "nvme_core"});
    run("modprobe", {"nvme-core", native ? "multipath=Y" : "multipath=N"});
    loadFabrics();
    run("modprobe", {"-a", "nvmet", "nvmet-tcp"});
}

void unloadFabrics() {
    unload({"nvme_tcp", "nvme_rdma", "nvme_fabrics"});
}

void loadFabrics() {
    run("modprobe", {"-a", "nvme-fabrics", "nvme-tcp"});
}

}  // namespace initiator_test
