// SPDX-License-Identifier: Apache-2.0
#include "admin.h"

#include <chrono>
#include <ostream>

#include "bounded_run.h"
#include "check_report.h"
#include "clean.h"
#include "command_line.h"
#include "export_list.h"
#include "export_report.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

constexpr std::chrono::seconds kListLimit{5};

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2 };

int list(const Roots& roots, const CommandLine& line, std::ostream& out, std::ostream& err) {
    const auto exports = listExports(roots, line.all);
    if (!exports.ok()) {
        err << exports.error().message << '\n';
        return kFailed;
    }
    if (line.json) {
        printJson(exports.value(), out);
    } else {
        printTable(exports.value(), out);
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

}  // namespace

int run(int argc, char** argv, const Roots& roots, uid_t euid, std::ostream& out,
        std::ostream& err) {
    const auto line = parseCommandLine(argc, argv);
    if (!line.ok()) {
        err << line.error().message << '\n';
        return kUsage;
    }
    switch (line.value().command) {
        case Command::kList:
            return runBounded(
                [&](std::ostream& childOut, std::ostream& childErr) {
                    return list(roots, line.value(), childOut, childErr);
                },
                kListLimit, out, err);
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
