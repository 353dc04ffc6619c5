// SPDX-License-Identifier: Apache-2.0
// A node that serves files; command_line.cpp has its usage.
#include <glog/logging.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "check.h"
#include "command_line.h"
#include "control_socket.h"
#include "server.h"

namespace {

using namespace mooncake::file_server;

// Less than what the service manager gives a reload.
constexpr std::chrono::minutes kReloadLimit{10};

std::string controlPath(const CommandLine& line, const std::string& otherwise) {
    if (!line.control.empty()) return line.control;
    const char* const folder = std::getenv("RUNTIME_DIRECTORY");
    if (folder == nullptr || *folder == '\0') return otherwise;
    // The first of several.
    return std::string(folder).substr(0, std::string_view(folder).find(':')) + "/control";
}

int reload(const std::string& control) {
    const auto answer = askForReload(control, kReloadLimit);
    if (!answer.ok()) {
        std::cerr << answer.error().message << '\n';
        return kFailed;
    }
    (answer.value().status == kDone ? std::cout : std::cerr) << answer.value().text << '\n';
    return answer.value().status;
}

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
            return check(line.value().config, line.value().json, std::cout, std::cerr);
        case CommandLine::Action::kReload:
            return reload(controlPath(line.value(), "/run/transfer_engine_file_server/control"));
        case CommandLine::Action::kServe:
            break;
    }
    ServiceSignals signals;
    ServiceNotice notice = ServiceNotice::fromEnvironment();
    return serve(line.value().config, controlPath(line.value(), ""), line.value().takeover, signals,
                 notice);
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
