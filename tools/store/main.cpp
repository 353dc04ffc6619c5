// SPDX-License-Identifier: Apache-2.0
// The store's tool; command_line.cpp has its usage.
#include <glog/logging.h>
#include <unistd.h>

#include <exception>
#include <iostream>

#include "file_store.h"

int main(int argc, char** argv) {
    // Else the standard input would end where it cannot be read, as if that were all.
    std::ios::sync_with_stdio(false);
    FLAGS_logtostderr = true;
    // What is to be told is told by the tool itself.
    FLAGS_minloglevel = google::GLOG_ERROR;
    google::InitGoogleLogging(argv[0]);
    try {
        mooncake::store::tool::Output output(std::cin, std::cout, std::cerr,
                                             ::isatty(STDERR_FILENO));
        const int status = mooncake::store::tool::run(argc, argv, output);
        std::cout.flush();
        if (std::cout) return status;
        std::cerr << "cannot write to standard output\n";
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
    }
    return 1;
}
