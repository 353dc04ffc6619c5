// SPDX-License-Identifier: Apache-2.0
// A node that serves files; command_line.cpp has its usage.
#include <glog/logging.h>
#include <signal.h>

#include <exception>
#include <iostream>

#include "command_line.h"
#include "server.h"

namespace {

using namespace mooncake::file_server;

int run(int argc, char** argv) {
    const auto line = parseCommandLine(argc, argv);
    if (!line.ok()) {
        std::cerr << line.error().message << '\n';
        return kWrongConfig;
    }
    switch (line.value().action) {
        case CommandLine::Action::kHelp:
            std::cout << helpText();
            return kDone;
        case CommandLine::Action::kVersion:
            std::cout << "transfer_engine_file_server " FILE_SERVER_VERSION "\n";
            return kDone;
        case CommandLine::Action::kCheck:
            return check(line.value().config, std::cout, std::cerr);
        case CommandLine::Action::kServe:
            break;
    }
    ServiceSignals signals;
    ServiceNotice notice = ServiceNotice::fromEnvironment();
    return serve(line.value().config, line.value().takeover, signals, notice);
}

}  // namespace

int main(int argc, char** argv) {
    FLAGS_logtostderr = true;
    google::InitGoogleLogging(argv[0]);
    // Who reads the log may go before this program does.
    signal(SIGPIPE, SIG_IGN);
    try {
        const int status = run(argc, argv);
        std::cout.flush();
        if (std::cout) return status;
        std::cerr << "cannot write to standard output\n";
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
    }
    return kFailed;
}
