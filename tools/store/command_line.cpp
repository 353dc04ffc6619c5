// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <getopt.h>

#include <map>
#include <set>

#include "units.h"

namespace mooncake::store::tool {
namespace {

enum Option {
    kHelpOption = 'h',
    kVersionOption = 255,
    kDirectory,
    kTimeout,
    kJson,
    kYes,
    kObjects,
    kLimit,
    kRegions,
    kRate,
    kReplicas,
    kSoftPin,
    kHardPin,
    kLocalHostname,
    kMetadataServer,
    kProtocol
};

const option kOptions[] = {{"help", no_argument, nullptr, kHelpOption},
                           {"version", no_argument, nullptr, kVersionOption},
                           {"directory", required_argument, nullptr, kDirectory},
                           {"timeout", required_argument, nullptr, kTimeout},
                           {"json", no_argument, nullptr, kJson},
                           {"yes", no_argument, nullptr, kYes},
                           {"objects", no_argument, nullptr, kObjects},
                           {"limit", required_argument, nullptr, kLimit},
                           {"regions", required_argument, nullptr, kRegions},
                           {"rate", required_argument, nullptr, kRate},
                           {"replicas", required_argument, nullptr, kReplicas},
                           {"soft-pin", no_argument, nullptr, kSoftPin},
                           {"hard-pin", no_argument, nullptr, kHardPin},
                           {"local-hostname", required_argument, nullptr, kLocalHostname},
                           {"metadata-server", required_argument, nullptr, kMetadataServer},
                           {"protocol", required_argument, nullptr, kProtocol},
                           {nullptr, 0, nullptr, 0}};

// A month: the clocks have room for far more, and not for every number.
constexpr uint64_t kMostSeconds = 31 * 24 * 3600;

struct Usage {
    Command command;
    size_t least;  // arguments
    size_t most;
    std::string_view arguments;  // for a message
    std::set<int> options;       // but those that all have
};

const std::map<std::string_view, Usage>& usages() {
    static const std::set<int> kEngine = {kLocalHostname, kMetadataServer, kProtocol};
    const auto with = [](std::set<int> options) {
        options.insert(kEngine.begin(), kEngine.end());
        return options;
    };
    static const std::map<std::string_view, Usage> kUsages = {
        {"status", {Command::kStatus, 0, 0, "no argument", {kJson}}},
        {"list", {Command::kList, 0, 1, "a prefix or nothing", {kJson, kLimit}}},
        {"get", {Command::kGet, 1, 2, "a key and a file", with({})}},
        {"put", {Command::kPut, 2, 2, "a key and a file", with({kReplicas, kSoftPin, kHardPin})}},
        {"verify", {Command::kVerify, 0, 1, "a prefix or nothing", with({kJson, kRate})}},
        {"evict", {Command::kEvict, 1, 1, "the number of a file", {kJson, kRegions}}},
        {"forget", {Command::kForget, 1, 1, "the number of a file", {kJson, kYes}}},
        {"rebuild", {Command::kRebuild, 1, 10000, "paths of files", {kJson}}},
        {"check", {Command::kCheck, 0, 0, "no argument", {kJson, kObjects}}}};
    return kUsages;
}

tl::unexpected<Error> usageError(const std::string& what) {
    return failed(Failure::kInvalid, what + "; see 'mooncake_file_store --help'");
}

std::string nameOf(int wanted) {
    for (const option& known : kOptions) {
        if (known.val == wanted) return std::string("--") + known.name;
    }
    return "";
}

// From 1 on.
Result<> takeNumber(int found, uint64_t* number, uint64_t most = UINT64_MAX) {
    const auto value = parseNumber(optarg, 1);
    if (!value || *value > most) {
        return usageError(nameOf(found) + "='" + optarg + "': it takes a number from 1 " +
                          (most == UINT64_MAX ? "on" : "to " + std::to_string(most)));
    }
    *number = *value;
    return {};
}

Result<> takeOption(int found, CommandLine* line) {
    switch (found) {
        case kDirectory:
            line->directory = optarg;
            return {};
        case kTimeout: {
            uint64_t seconds = 0;
            if (auto taken = takeNumber(found, &seconds, kMostSeconds); !taken) return taken;
            line->timeout = std::chrono::seconds(seconds);
            return {};
        }
        case kJson:
            line->json = true;
            return {};
        case kYes:
            line->yes = true;
            return {};
        case kObjects:
            line->objects = true;
            return {};
        case kLimit:
            return takeNumber(found, &line->limit);
        case kRegions:
            return takeNumber(found, &line->regions);
        case kRate: {
            const auto rate = parseBytes(optarg);
            if (!rate || *rate == 0) {
                return usageError(nameOf(found) + "='" + optarg +
                                  "': it takes bytes a second, as 100M or 1G");
            }
            line->rate = *rate;
            return {};
        }
        case kReplicas:
            return takeNumber(found, &line->replicas);
        case kSoftPin:
            line->soft_pin = true;
            return {};
        case kHardPin:
            line->hard_pin = true;
            return {};
        case kLocalHostname:
            line->local_hostname = optarg;
            return {};
        case kMetadataServer:
            line->metadata_server = optarg;
            return {};
        default:
            line->protocol = optarg;
            return {};
    }
}

}  // namespace

const std::string_view kHelp =
    R"(mooncake_file_store <command> [options] [arguments]

Looks after an object store on the files of its nodes.

status [--json]
    Clients that are alive, files with who serves them, what is in use and free of each.

list [--limit=N] [--json] [prefix]
    Objects in the order of their keys: bytes, copies, pins, when they were put, their files.
    --limit   no more than that many

get [engine options] <key> [file]
    Writes an object's bytes to the file, or to the standard output.

put [--replicas=N] [--soft-pin] [--hard-pin] [engine options] <key> <file>
    Stores what the file holds, or the standard input ("-"). A key that is there stays as it is.
    --replicas   copies, each on another node (1)
    --soft-pin   evicted last
    --hard-pin   never evicted

verify [--rate=BYTES] [--json] [engine options] [prefix]
    Reads every object and compares its checksum. A copy whose bytes are wrong is taken out of the
    store, as with every get. Objects that cannot be reached are counted, and left as they are.
    --rate   bytes a second, as 100M, so that it can go on beside others' work

evict [--regions=N] [--json] <file>
    Empties the regions of the file (its number, see status) that were read longest ago, in the
    order in which the store itself would. Regions with pins that would have to move stay.
    Reads the whole directory, not the file.
    --regions   how many (1)

forget --yes [--json] <file>
    The file (its number, see status) will not come back: its copies go from the directory, with the
    objects that have no others. Not while somebody serves it. Without --yes it says what would go.

rebuild [--json] <path of a file>...
    Makes a lost directory again from the files of this machine, which nobody may serve meanwhile.
    Objects that were removed or evicted, and not yet overwritten, come back, too. Run it on one node
    after the other, before the first one mounts its files.

check [--objects] [--json]
    What an operator should know, each line ok, note, warn or fail: the directory, files that nobody
    serves, clients that are gone with regions open, room.
    --objects   reads the whole directory, too: objects that cannot be reached, damaged entries

All commands:
    --directory=ADDRESS   sqlite:///path, a path, or etcd://host:port[,host:port...][/store];
                          without it $MC_STORE_DIRECTORY, else /var/lib/mooncake/store.db
    --timeout=SECONDS     for each question to the directory, and each object (30)
Engine options of get, put and verify, as for every client:
    --local-hostname=HOST:PORT   this process's name (127.0.0.1:0)
    --metadata-server=ADDRESS    where the nodes' segments are published (P2PHANDSHAKE)
    --protocol=NAME              the engine's transport (nvmeof_generic)

A key is written as list shows it: a backslash is "\\", a byte that is not printable ASCII "\x" and
two hexadecimal digits. --json prints one JSON object; an error is in it, too. --help prints this
text, --version the version.

Exit status: 0 done, and nothing was found wrong; 1 something failed; 2 wrong usage.
)";

Result<CommandLine> parseCommandLine(int argc, char** argv) {
    CommandLine line;
    std::set<int> given;
    optind = 0;  // from the start, also in a process that has parsed another line before
    for (;;) {
        // The colon: no messages, and a missing value told apart from an unknown option.
        const int found = ::getopt_long(argc, argv, ":h", kOptions, nullptr);
        if (found == -1) break;
        if (found == kHelpOption) return CommandLine();
        if (found == kVersionOption) {
            line.command = Command::kVersion;
            return line;
        }
        const std::string word = argv[optind - 1];
        if (found == ':') return usageError("'" + word + "' lacks its value");
        if (found == '?') return usageError("there is no option '" + word + "', or no such value");
        if (auto taken = takeOption(found, &line); !taken) return tl::unexpected(taken.error());
        given.insert(found);
    }
    if (optind == argc) {
        return usageError(
            "a command is missing: status, list, get, put, verify, evict, forget, rebuild or "
            "check");
    }
    const auto usage = usages().find(argv[optind]);
    if (usage == usages().end()) {
        return usageError("there is no command '" + std::string(argv[optind]) + "'");
    }
    line.command = usage->second.command;
    line.arguments.assign(argv + optind + 1, argv + argc);
    if (line.arguments.size() < usage->second.least || line.arguments.size() > usage->second.most) {
        return usageError(std::string(usage->first) + " takes " +
                          std::string(usage->second.arguments));
    }
    for (const int option : given) {
        if (option != kDirectory && option != kTimeout && !usage->second.options.contains(option)) {
            return usageError(std::string(usage->first) + " has no option " + nameOf(option));
        }
    }
    return line;
}

}  // namespace mooncake::store::tool
