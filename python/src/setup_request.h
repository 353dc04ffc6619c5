// SPDX-License-Identifier: Apache-2.0
// What setup(), setup_with_files() and init_all() ask for.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace mooncake::python {

struct SetupRequest {
    static constexpr uint64_t kDefaultSize = 16 << 20;

    std::string local_hostname;
    std::string metadata_server;
    // Of a scratch file, bytes; 0 for none. Without effect where files are named.
    uint64_t global_segment_size = 0;
    uint64_t local_buffer_size = kDefaultSize;  // bytes
    // "nvmeof_generic", whose address protocol_arg is; or "tcp" or "rdma", as programs for
    // Mooncake's store say, whose devices are of no use here.
    std::string protocol;
    std::string protocol_arg;
    // Of the directory; see ClientOptions.
    std::string master_server_addr;
    std::vector<std::string> files;
    // Of the scratch file; empty: $MC_STORE_SCRATCH_FOLDER, else /var/tmp.
    std::string scratch_folder;

    // Takes the files of $MC_STORE_FILES, separated by blanks, in place of a scratch file.
    void takeFilesOfEnvironment();
    // One of those may be mounted by another process of this machine, which serves it then.
    bool shares_files = false;
};

// From setup()'s dict, whose values are text. The error says which value is wrong.
tl::expected<SetupRequest, std::string> requestOf(const std::map<std::string, std::string>& values);

// "16777216", "16MB", "16 MiB", "1.5g"; a unit is a power of 1024.
tl::expected<uint64_t, std::string> parseSize(const std::string& text);

}  // namespace mooncake::python
