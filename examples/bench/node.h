// SPDX-License-Identifier: Apache-2.0
// This process as a node: an engine with the nvmeof_generic transport.
#pragma once

#include <memory>
#include <string>

#include "bench/failure.h"
#include "bench/options.h"
#include "transfer_engine.h"

namespace mooncake::bench {

enum class Role {
    kTarget,     ///< exports files at options.targetAddress
    kInitiator,  ///< only uses others' files
};

class Node {
 public:
    /// Joins the metadata server and installs the transport.
    /// @return ExitCode::kIoError with what was asked for; the engine has logged the cause
    static MaybeFailure start(const Options& options, Role role, std::unique_ptr<Node>& node);

    TransferEngine& engine() { return engine_; }

    /// The name under which others open this node's segment.
    const std::string& segmentName() const { return segmentName_; }

 private:
    Node() : engine_(false) {}

    TransferEngine engine_;
    std::string segmentName_;
};

}  // namespace mooncake::bench
