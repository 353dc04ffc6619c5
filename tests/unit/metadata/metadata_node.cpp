// SPDX-License-Identifier: Apache-2.0
// A node in a process of its own, for the tests: publishes a segment with files and stays until it
// is killed, or gets SIGTERM: then it leaves in order. Arguments: connection string, name, NQN,
// number of files, and, if not the usual ones, the milliseconds between two looks at its records.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "metadata_storage.h"
#include "transfer_metadata.h"

using namespace mooncake;

namespace {

std::unique_ptr<TransferMetadata> join(const std::string& conn_string, const char* interval) {
    if (interval == nullptr) return std::make_unique<TransferMetadata>(conn_string);
    std::shared_ptr<MetadataStorage> storage;
    if (!createMetadataStorage(conn_string, StoreLimits(), &storage).ok()) return nullptr;
    return std::make_unique<TransferMetadata>(std::move(storage),
                                              std::chrono::milliseconds(std::atoi(interval)));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5 && argc != 6) return 2;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr);
    const auto joined = join(argv[1], argv[5]);
    if (!joined) return 2;
    TransferMetadata& metadata = *joined;
    const std::string name = argv[2];
    const auto [host, port] = parseHostNameWithPort(name);
    TransferMetadata::RpcMetaDesc rpc{host, port, -1};
    if (metadata.addRpcMetaEntry(name, rpc) != 0) return 1;
    auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
    desc->name = name;
    desc->protocol = "nvmeof_generic";
    desc->nvmeof_generic_trid = {"tcp", "ipv4", "127.0.0.1", "4420", argv[3]};
    if (metadata.addLocalSegment(LOCAL_SEGMENT_ID, name, std::move(desc)) != 0) return 1;
    if (metadata.updateLocalSegmentDesc() != 0) return 1;
    for (int id = 1; id <= std::atoi(argv[4]); ++id) {
        const auto file_id = static_cast<TransferMetadata::FileBufferID>(id);
        if (metadata.addFileBuffer({file_id, "/f", 4096, 0}, true) != 0) return 1;
    }
    std::puts("ready");
    std::fflush(stdout);
    int signal = 0;
    sigwait(&stop, &signal);
    return metadata.removePublished() == 0 ? 0 : 1;
}
