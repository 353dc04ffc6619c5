// SPDX-License-Identifier: Apache-2.0
// What the operator wants: transfer_engine_file_server.conf(5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config_sections.h"
#include "transfer_engine.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::file_server {

struct FileEntry {
    std::string path;                  ///< absolute and normalised
    std::optional<uint64_t> size;      ///< bytes; none: the whole file
    std::optional<FileBufferID> id{};  ///< the number that requests name it by; none: planNumbers()
    bool readOnly = false;
    bool pathCheck = true;
    std::string mount{};  ///< the mount point that must be mounted; empty: none

    bool operator==(const FileEntry&) const = default;
};

struct ServerConfig {
    std::string segment;
    std::string metadata;
    /// As written; each may be a list, apart by commas.
    nvmeof_generic::TransportAddress address;
    std::string advertise;
    bool allowAnyHost = false;
    std::vector<std::string> allowedHosts;
    std::string allowedHostsFile;
    std::string dhchapKeys;
    bool pathCheck = true;
    bool strict = false;
    bool takeover = false;  ///< of the segment's name, from a process that runs
    std::vector<FileEntry> files;

    bool operator==(const ServerConfig&) const = default;
};

/// Reads the text of a configuration file. Neither files nor the metadata service are touched.
/// @return EINVAL that names the line, the setting and what it takes
Result<ServerConfig> parseConfig(std::string_view text);

/// The same for a file, and for the fragments beside it: what ends in ".conf" in the folder
/// "<path>.d", in the order of the names. A setting or file that is said in two of them is an
/// error. Messages name the file, too. Each is taken as readGuardedFile() takes a file that must
/// not be forged; MC_NVMEOF_GENERIC_PATH_CHECK=off leaves its folders unjudged.
/// @return also ENOENT, EACCES ... where it cannot be read or others may write to it, EFBIG above 8
///     MiB
Result<ServerConfig> readConfig(const std::string& path);

/// The argument string of installTransport().
std::string transportArguments(const ServerConfig& config);

/// What only a start can change.
/// @return a message with the first setting that differs, or none
std::optional<std::string> findFixedChange(const ServerConfig& old, const ServerConfig& wanted);

}  // namespace mooncake::file_server
