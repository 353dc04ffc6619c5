// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

namespace mooncake::nvmeof_generic {

/// Times are given to the kernel with each connection. The defaults bound the time without an
/// answer, after a target has gone, to keepAlive (twice, at worst) + fastIoFail.
struct InitiatorOptions {
    std::chrono::seconds connectTimeout{10};  ///< for a request to wait for its connection
    std::chrono::seconds keepAlive{2};
    std::chrono::seconds reconnectDelay{1};
    std::chrono::seconds fastIoFail{
        2};  ///< from the loss of the connection until its I/O fails; at least 1
    std::chrono::seconds controllerLoss{
        60};              ///< until the kernel gives the connection up; not below fastIoFail
    std::string hostNqn;  ///< empty: /etc/nvme/hostnqn, or one made of the machine id
    std::string sysRoot = "/sys";  ///< another folder in unit tests
    std::string devRoot = "/dev";
    std::string etcRoot = "/etc";
};

}  // namespace mooncake::nvmeof_generic
