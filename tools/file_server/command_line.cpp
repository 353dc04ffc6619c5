// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <getopt.h>

#include <cerrno>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

enum Option { kHelp = 'h', kConfig = 256, kCheck, kTakeover, kVersion };

const option kOptions[] = {{"help", no_argument, nullptr, kHelp},
                           {"config", required_argument, nullptr, kConfig},
                           {"check", no_argument, nullptr, kCheck},
                           {"takeover", no_argument, nullptr, kTakeover},
                           {"version", no_argument, nullptr, kVersion},
                           {nullptr, 0, nullptr, 0}};

Error usageError(const std::string& what) {
    return {EINVAL, what + "; see 'transfer_engine_file_server --help'"};
}

}  // namespace

std::string helpText() {
    return std::string(R"(transfer_engine_file_server [--config=<file>] [--check] [--takeover]

Serves the files of its configuration to other nodes over NVMe-oF until SIGTERM or SIGINT. SIGHUP
has it read the configuration again: new files are served, those that are gone are taken back,
those that stay are not disturbed.

--config=<file>  the configuration (default: )") +
           FILE_SERVER_DEFAULT_CONFIG + R"()
--check          only say whether the configuration is right, and which of its files cannot be
                 served; exports nothing
--takeover       take the segment's name over from a process that runs, as takeover = yes does
--help           this text
--version        the version

Exit status: 0 stopped as asked, or the configuration is right; 1 something failed; 2 wrong usage
or configuration.
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
                line.action = CommandLine::Action::kCheck;
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
    return line;
}

}  // namespace mooncake::file_server
