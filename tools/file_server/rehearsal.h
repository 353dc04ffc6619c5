// SPDX-License-Identifier: Apache-2.0
// What a start would meet, found out without one: nothing is exported, no space is reserved, no
// file is made, no other node is asked. The start itself decides by the same code.
#pragma once

#include <chrono>
#include <set>
#include <string>

#include "finding.h"
#include "server_config.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::file_server {

/// Where it looks: other folders in unit tests.
struct Machine {
    std::string configfs = "/sys/kernel/config";
    std::string dev = "/dev";
    std::string sys = "/sys";
    std::string proc = "/proc";
};

/// All but the files.
/// @param environment  null-terminated, as `environ`
/// @param options  receives what the target would be started with; nothing where that is not known
Findings rehearseServer(const ServerConfig& config, const Machine& machine,
                        const char* const* environment,
                        std::optional<nvmeof_generic::TargetOptions>* options = nullptr);

/// What is wrong with the numbers of the files: those that follow from no path or id alone.
Findings rehearseNumbers(const ServerConfig& config);

/// One finding for each file. What cannot be served is an error where the configuration is strict,
/// else a warning: the start would go on without it. A block device is opened for a moment.
Findings rehearseFiles(const ServerConfig& config, const Machine& machine,
                       const nvmeof_generic::TargetOptions& options);

/// The files that a live target of the segment exports on this machine. None where that is not
/// known within the limit: the kernel holds whoever looks at a subsystem one of whose disks hangs.
std::set<std::string> servedFiles(const Machine& machine, const std::string& segment,
                                  std::chrono::milliseconds limit);

}  // namespace mooncake::file_server
