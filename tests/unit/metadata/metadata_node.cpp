// SPDX-License-Identifier: Apache-2.0
// A node in a process of its own, for the tests: publishes a segment with files and stays until it
// is killed. Arguments: connection string, name, NQN, number of files.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "transfer_metadata.h"

using mooncake::TransferMetadata;

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    TransferMetadata metadata{std::string(argv[1])};
    const std::string name = argv[2];
    const auto [host, port] = mooncake::parseHostNameWithPort(name);
    TransferMetadata::RpcMetaDesc rpc{host, port, -1};
    if (metadata.addRpcMetaEntry(name, rpc) != 0) return 1;
    auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
    desc->name = name;
    desc->protocol = "nvmeof_generic";
    desc->nvmeof_generic_trid = {"tcp", "ipv4", "127.0.0.1", "4420", argv[3]};
    if (metadata.addLocalSegment(mooncake::LOCAL_SEGMENT_ID, name, std::move(desc)) != 0) return 1;
    if (metadata.updateLocalSegmentDesc() != 0) return 1;
    for (int id = 1; id <= std::atoi(argv[4]); ++id) {
        const auto file_id = static_cast<TransferMetadata::FileBufferID>(id);
        if (metadata.addFileBuffer({file_id, "/f", 4096, 0}, true) != 0) return 1;
    }
    std::puts("ready");
    std::fflush(stdout);
    while (true) pause();
}
