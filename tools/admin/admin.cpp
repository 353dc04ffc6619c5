// SPDX-License-Identifier: Apache-2.0
#include "admin.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>

#include "bounded_run.h"
#include "check_report.h"
#include "clean.h"
#include "command_line.h"
#include "connection_list.h"
#include "export_list.h"
#include "export_report.h"
#include "json_error.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

constexpr std::chrono::seconds kListLimit{5};

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2 };

int list(const Roots& roots, const CommandLine& line, std::ostream& out, std::ostream& err) {
    auto exports = listExports(roots, line.all);
    auto connections = listConnections(roots, line.all);
    // A host that only connects to others needs no nvmet.
    if (!exports.ok() && connections.ok() && !connections.value().empty()) {
        exports = ExportList{{}, {exports.error().message}};
    }
    if (exports.ok() && !connections.ok()) {
        exports.value().notes.push_back(connections.error().message);
        connections = std::vector<ConnectedSubsystem>();
    }
    if (!exports.ok()) {
        if (line.json) {
            const char* name = strerrorname_np(exports.error().code);
            printJsonError(name != nullptr ? name : "EIO", exports.error().message, out);
        } else {
            err << exports.error().message << '\n';
        }
        return kFailed;
    }
    if (line.json) {
        printJson(exports.value(), connections.value(), out);
    } else {
        printTable(exports.value(), connections.value(), out);
    }
    return kDone;
}

int check(const Roots& roots, const CommandLine& line, uid_t euid, std::ostream& out) {
    const std::vector<Check> checks = checkMachine(roots, line.wish, euid);
    if (line.json) {
        printJson(checks, out);
    } else {
        printText(checks, out);
    }
    return passed(checks) ? kDone : kFailed;
}

// In a process of its own; what that cannot say any more is said in its place.
int listBounded(const Roots& roots, const CommandLine& line, std::ostream& out, std::ostream& err) {
    std::ostringstream said, complaint;
    const int status =
        runBounded([&](std::ostream& childOut,
                       std::ostream& childErr) { return list(roots, line, childOut, childErr); },
                   kListLimit, said, complaint);
    std::string message = complaint.str();
    if (line.json && status != kDone && said.str().empty()) {
        while (message.ends_with('\n')) message.pop_back();
        printJsonError("no_answer", message, out);
        return status;
    }
    out << said.str();
    err << message;
    return status;
}

bool wantsJson(int argc, char** argv) {
    return std::any_of(argv, argv + argc,
                       [](const char* word) { return std::string_view(word) == "--json"; });
}

}  // namespace

int run(int argc, char** argv, const Roots& roots, uid_t euid, std::ostream& out,
        std::ostream& err) {
    const bool json = wantsJson(argc, argv);
    const auto line = parseCommandLine(argc, argv);
    if (!line.ok()) {
        if (json) {
            printJsonError("usage", line.error().message, out);
        } else {
            err << line.error().message << '\n';
        }
        return kUsage;
    }
    switch (line.value().command) {
        case Command::kList:
            return listBounded(roots, line.value(), out, err);
        case Command::kClean:
            return runBounded(
                [&](std::ostream& childOut, std::ostream& childErr) {
                    return clean(roots, line.value().dryRun, childOut, childErr) ? kDone : kFailed;
                },
                std::nullopt, out, err);
        case Command::kCheck:
            return check(roots, line.value(), euid, out);
        case Command::kVersion:
            out << "nvmeof_generic_admin " NVMEOF_GENERIC_VERSION "\n";
            return kDone;
        case Command::kHelp:
            break;
    }
    out << kHelp;
    return kDone;
}

}  // namespace mooncake::nvmeof_generic::admin
