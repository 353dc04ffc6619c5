// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace mooncake::store::tool {

enum class Command {
    kHelp,
    kVersion,
    kStatus,
    kList,
    kGet,
    kPut,
    kVerify,
    kEvict,
    kForget,
    kRebuild,
    kCheck
};

struct CommandLine {
    Command command = Command::kHelp;
    std::vector<std::string> arguments;  // without the command
    std::string directory;
    std::chrono::seconds timeout{30};  // of one question to the directory, or one object's bytes
    bool json = false;
    bool yes = false;
    bool objects = false;
    uint64_t limit = 0;    // objects; 0: all
    uint64_t regions = 1;  // to evict
    uint64_t rate = 0;     // bytes a second; 0: as fast as it goes
    uint64_t replicas = 1;
    bool soft_pin = false;
    bool hard_pin = false;
    // How this process takes part in the store's engine.
    std::string local_hostname = "127.0.0.1:0";
    std::string metadata_server = "P2PHANDSHAKE";
    std::string protocol = "nvmeof_generic";
};

// All there is to know about the program's usage.
extern const std::string_view kHelp;

// Not thread-safe (getopt_long(3)).
// @param argv  null-terminated; its order may be changed
// @return kInvalid for whatever is not in kHelp; the message says what
Result<CommandLine> parseCommandLine(int argc, char** argv);

}  // namespace mooncake::store::tool
