// SPDX-License-Identifier: Apache-2.0
#include "bench/node.h"

#include <cstdlib>

namespace mooncake::bench {

MaybeFailure Node::start(const Options& options, Role role, std::unique_ptr<Node>& node) {
    std::unique_ptr<Node> made(new Node);
    TransferEngine& engine = made->engine_;
    int rc = engine.init(options.metadataServer, options.localServerName);
    if (rc != 0) {
        return Failure{ExitCode::kIoError, "cannot start the engine as '" +
                                               options.localServerName + "' with metadata server " +
                                               options.metadataServer + " (error " +
                                               std::to_string(rc) +
                                               "): is the server running? The log above says more"};
    }
    // Before the transport reads it; no other thread reads the environment here.
    if (options.mode == Mode::kLoopback) {
        setenv("MC_NVMEOF_GENERIC_LOCAL_ACCESS", options.localAccess.c_str(), 1);
    }
    std::string address = options.targetAddress;
    void* args[] = {address.data(), nullptr};
    const bool target = role == Role::kTarget;
    if (engine.installTransport("nvmeof_generic", target ? args : nullptr) == nullptr) {
        return Failure{ExitCode::kIoError,
                       std::string("cannot install the transport nvmeof_generic") +
                           (target ? " with target address '" + address + "'" : "") +
                           ": the log above says why"};
    }
    // Without a metadata server the engine chooses its own name.
    made->segmentName_ = options.metadataServer == P2PHANDSHAKE ? engine.getLocalIpAndPort()
                                                                : options.localServerName;
    node = std::move(made);
    return std::nullopt;
}

}  // namespace mooncake::bench
