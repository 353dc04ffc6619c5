// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <getopt.h>

#include <cerrno>
#include <map>
#include <set>
#include <string>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

enum Option { kHelpOption = 'h', kVersionOption = 255, kJson = 256, kAll, kDryRun, kRole, kTrtype };

const option kOptions[] = {{"help", no_argument, nullptr, kHelpOption},
                           {"version", no_argument, nullptr, kVersionOption},
                           {"json", no_argument, nullptr, kJson},
                           {"all", no_argument, nullptr, kAll},
                           {"dry-run", no_argument, nullptr, kDryRun},
                           {"role", required_argument, nullptr, kRole},
                           {"trtype", required_argument, nullptr, kTrtype},
                           {nullptr, 0, nullptr, 0}};

struct Usage {
    Command command;
    std::set<int> options;
};

const std::map<std::string_view, Usage>& usages() {
    static const std::map<std::string_view, Usage> kUsages = {
        {"list", {Command::kList, {kJson, kAll}}},
        {"clean", {Command::kClean, {kDryRun}}},
        {"check", {Command::kCheck, {kJson, kRole, kTrtype}}}};
    return kUsages;
}

Error usageError(const std::string& what) {
    return {EINVAL, what + "; see 'nvmeof_generic_admin --help'"};
}

std::string nameOf(int wanted) {
    for (const option& known : kOptions) {
        if (known.val == wanted) return std::string("--") + known.name;
    }
    return "";
}

// @param argument  where getopt_long() stands: past it, unless it is one of several short ones
Error unknownOption(const char* argument) {
    if (optopt > 0 && optopt < kJson) {
        return usageError("there is no option -" + std::string(1, static_cast<char>(optopt)));
    }
    if (optopt != 0) return usageError(inQuotes(argument) + ": this option takes no value");
    return usageError("there is no option " + inQuotes(argument));
}

Result<> takeOption(int found, CommandLine& line) {
    const std::string_view value = optarg == nullptr ? "" : optarg;
    switch (found) {
        case kJson:
            line.json = true;
            return {};
        case kAll:
            line.all = true;
            return {};
        case kDryRun:
            line.dryRun = true;
            return {};
        case kRole:
            if (value != "target" && value != "initiator" && value != "both") {
                return usageError("--role=" + inQuotes(value) +
                                  ": it takes target, initiator, both");
            }
            line.wish.target = value != "initiator";
            line.wish.initiator = value != "target";
            return {};
        default:
            if (value != "tcp" && value != "rdma") {
                return usageError("--trtype=" + inQuotes(value) + ": it takes tcp, rdma");
            }
            line.wish.trtype = value;
            return {};
    }
}

}  // namespace

const std::string_view kHelp =
    R"(nvmeof_generic_admin <command> [options]

What this host exports through the nvmeof_generic transport, and whether it is fit for it.

list [--all] [--json]
    The subsystems of this transport: owner process (alive, or dead: a killed process leaves its
    subsystem in the kernel), segment, ports, hosts that may connect and whether they must prove
    who they are, hosts that are connected (where the kernel tells), files with their sizes. Then
    what this host is connected to, with the paths: state, policy, bytes. Segment and files come
    from the live owner and take root. Changes no object.
    --all   subsystems that others made, too

clean [--dry-run]
    Removes the subsystems of dead owners, and the ports and hosts that none but they used. Each
    target does the same when it starts. Never touches objects of live owners or of others. Waits
    for I/O in flight, but not for a disk that hangs. Takes root.
    --dry-run   only print what would be removed

check [--role=target|initiator|both] [--trtype=tcp|rdma] [--json]
    Whether this machine can export files (target), use those of others (initiator), or both (the
    default), over TCP (the default) or RDMA. Each line is ok, warn or fail, with what to do about
    it. Changes nothing.

--json prints one JSON object, with null for what is not known. --help prints this text, --version
the version.

Exit status: 0 done, and no check failed; 1 something failed; 2 wrong usage.
)";

Result<CommandLine> parseCommandLine(int argc, char** argv) {
    CommandLine line;
    std::set<int> given;
    optind = 0;  // from the start, also in a process that has parsed another line before
    while (true) {
        // The colon: no messages, and a missing value told apart from an unknown option.
        const int found = ::getopt_long(argc, argv, ":h", kOptions, nullptr);
        if (found == -1) break;
        if (found == kHelpOption) return CommandLine{};
        if (found == kVersionOption) return CommandLine{.command = Command::kVersion, .wish = {}};
        if (found == ':') return usageError(inQuotes(argv[optind - 1]) + " lacks its value");
        if (found == '?') return unknownOption(argv[optind - 1]);
        if (auto taken = takeOption(found, line); !taken.ok()) return taken.error();
        given.insert(found);
    }
    if (optind == argc) return usageError("a command is missing: list, clean or check");
    const auto usage = usages().find(argv[optind]);
    if (usage == usages().end()) {
        return usageError("there is no command " + inQuotes(argv[optind]));
    }
    if (optind + 1 < argc) return usageError(inQuotes(argv[optind + 1]) + " is not an option");
    for (const int option : given) {
        if (!usage->second.options.contains(option)) {
            return usageError(std::string(usage->first) + " has no option " + nameOf(option));
        }
    }
    line.command = usage->second.command;
    return line;
}

}  // namespace mooncake::nvmeof_generic::admin
