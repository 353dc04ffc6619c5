// SPDX-License-Identifier: Apache-2.0
#include "soft_roce.h"

#include <fstream>
#include <stdexcept>

#include "child_process.h"

namespace {

void run(const std::vector<std::string>& command) {
    test_support::ChildProcess program(command);
    if (program.wait() != 0) {
        throw std::runtime_error(command[0] + " " + command[1] + ": " + program.output());
    }
}

std::string setUp() {
    const std::string address = "10.99.0.1";
    run({"modprobe", "-a", "dummy", "rdma_rxe", "nvme-rdma", "nvmet-rdma"});
    if (!std::ifstream("/sys/class/net/roce0/address").good()) {
        run({"ip", "link", "add", "roce0", "type", "dummy"});
        run({"ip", "address", "add", address + "/24", "dev", "roce0"});
        run({"ip", "link", "set", "roce0", "up"});
        run({"rdma", "link", "add", "rxe_roce0", "type", "rxe", "netdev", "roce0"});
    }
    return address;
}

}  // namespace

const std::string& softRoceAddress() {
    static const std::string address = setUp();
    return address;
}
