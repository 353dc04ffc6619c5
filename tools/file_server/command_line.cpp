// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <getopt.h>

#include <cerrno>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

enum Option { kHelp = 'h', kConfig = 256, kCheck, kJson, kReload, kControl, kTakeover, kVersion };

const option kOptions[] = {{"help", no_argument, nullptr, kHelp},
                           {"config", required_argument, nullptr, kConfig},
                           {"check", no_argument, nullptr, kCheck},
                           {"json", no_argument, nullptr, kJson},
                           {"reload", no_argument, nullptr, kReload},
                           {"control", required_argument, nullptr, kControl},
                           {"takeover", no_argument, nullptr, kTakeover},
                           {"version", no_argument, nullptr, kVersion},
                           {nullptr, 0, nullptr, 0}};

Error usageError(const std::string& what) {
    return {EINVAL, what + "; see 'transfer_engine_file_server --help'"};
}

}  // namespace

std::string helpText() {
    return std::string(
               R"(transfer_engine_file_server [--config=<file>] [--control=<socket>] [--takeover]
transfer_engine_file_server --check [--json] [--config=<file>]
transfer_engine_file_server --reload [--control=<socket>]

Serves the files of its configuration to other nodes over NVMe-oF until SIGTERM or SIGINT. SIGHUP
has it read the configuration again: new files are served, those that are gone are taken back,
those that stay are not disturbed.

--config=<file>     the configuration (default: )") +
           FILE_SERVER_DEFAULT_CONFIG + R"();
                    <file>.d/*.conf are read after it
--check             only say what a start would meet: configuration, options, addresses, hosts, keys,
                    kernel, each file; changes nothing
--json              of --check: print one JSON object
--reload            have a server that runs read its configuration again, and wait until that is done
--control=<socket>  where the server hears of --reload (default: the socket "control" in
                    $RUNTIME_DIRECTORY, which the service manager sets; without it a server has
                    none, and --reload takes /run/transfer_engine_file_server/control)
--takeover          take the segment's name over from a process that runs, as takeover = yes does
--help              this text
--version           the version

Exit status: 0 stopped as asked, nothing is wrong, or reloaded; 1 something failed, and may not the
next time; 2 wrong usage or configuration.
)";
}

Result<CommandLine> parseCommandLine(int argc, char** argv) {
    CommandLine line;
    line.config = FILE_SERVER_DEFAULT_CONFIG;
    optind = 0;  // from the start, also in a process that has parsed another line before
    while (true) {
        // The colon: no messages, and a missing value told apart from an unknown option.
        const int found = ::getopt_long(argc, argv, ":h", kOptions, nullptr);
        if (found == -1) break;
        switch (found) {
            case kHelp:
                line.action = CommandLine::Action::kHelp;
                return line;
            case kVersion:
                line.action = CommandLine::Action::kVersion;
                return line;
            case kCheck:
            case kReload: {
                const auto wanted =
                    found == kCheck ? CommandLine::Action::kCheck : CommandLine::Action::kReload;
                if (line.action != CommandLine::Action::kServe && line.action != wanted) {
                    return usageError("--check and --reload exclude each other");
                }
                line.action = wanted;
                break;
            }
            case kJson:
                line.json = true;
                break;
            case kControl:
                line.control = optarg;
                if (!line.control.starts_with('/')) {
                    return usageError("--control needs the absolute path of a socket");
                }
                break;
            case kTakeover:
                line.takeover = true;
                break;
            case kConfig:
                line.config = optarg;
                if (line.config.empty()) return usageError("--config needs the path of a file");
                break;
            case ':':
                return usageError(inQuotes(argv[optind - 1]) + " lacks its value");
            default:
                return usageError("there is no option " + inQuotes(argv[optind - 1]));
        }
    }
    if (optind < argc) return usageError(inQuotes(argv[optind]) + " is not an option");
    if (line.json && line.action != CommandLine::Action::kCheck) {
        return usageError("--json is an option of --check");
    }
    return line;
}

}  // namespace mooncake::file_server
