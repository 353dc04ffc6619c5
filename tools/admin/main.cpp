// SPDX-License-Identifier: Apache-2.0
// The operator's tool; command_line.cpp has its usage.
#include <glog/logging.h>
#include <unistd.h>

#include <exception>
#include <iostream>

#include "admin.h"

int main(int argc, char** argv) {
    FLAGS_logtostderr = true;
    google::InitGoogleLogging(argv[0]);
    try {
        const int status =
            mooncake::nvmeof_generic::admin::run(argc, argv, {}, ::geteuid(), std::cout, std::cerr);
        std::cout.flush();
        if (std::cout) return status;
        std::cerr << "cannot write to standard output\n";
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
    }
    return 1;
}
