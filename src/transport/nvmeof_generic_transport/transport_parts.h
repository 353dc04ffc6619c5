// SPDX-License-Identifier: Apache-2.0
// What an installed transport consists of.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "environment.h"
#include "housekeeper.h"
#include "publication_log.h"
#include "slice_owner.h"
#include "transport/nvmeof_generic_transport/common/log_pace.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/this_process.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"
#include "transport/nvmeof_generic_transport/nvmeof_transport.h"
#include "transport/nvmeof_generic_transport/segment/remote_segments.h"
#include "transport/nvmeof_generic_transport/target/target.h"
#include "withdrawals.h"

namespace mooncake::nvmeof_generic {

/// Built in the order of the members and taken down in a fixed order of its own.
struct TransportParts {
    explicit TransportParts(TransferMetadata& meta) : metadata(meta) {}
    ~TransportParts();

    /// Makes what reading and writing needs: initiator and pool, or neither.
    Result<> makeInitiator();
    Result<> startThreads();
    void makeSegments();
    Result<RemoteDescriptor> describe(Transport::SegmentID id, bool fresh);
    void withdraw(Transport::FileBufferID id);
    /// @return whether no I/O of this process' own is on its way to the file any more
    bool endLocalAccess(Transport::FileBufferID id, std::chrono::milliseconds limit);
    TransportStats stats() const;
    SubmitStats submits() const;
    TargetStats targetStats() const;
    Result<> beginStats() const;
    void writeStats();

    const MadeHere origin;
    TransferMetadata& metadata;
    TransportOptions options;
    Withdrawals lostFiles{[this](uint32_t id) { withdraw(id); }};
    std::unique_ptr<Target> target;        // null in an initiator that exports nothing
    TransportAddresses published;          // the target's, for others
    std::unique_ptr<Initiator> initiator;  // null on a node that can export only
    std::string noInitiator;               // why there is none
    std::unique_ptr<IoPool> pool;          // likewise

    SliceOwner owner;
    std::unique_ptr<RemoteSegments> segments;  // with the pool

    PublicationLog publications;
    LogPace statsLog;  // of whoever writes them: one thread at a time
    // Two threads, which use all of the above: a file system that hangs must keep nobody from
    // ending requests in time.
    std::unique_ptr<Housekeeper> housekeeper;
    std::unique_ptr<Housekeeper> statsWriter;
    std::atomic<bool> complete{false};  // all parts are there
};

}  // namespace mooncake::nvmeof_generic

struct mooncake::NVMeoFGenericTransport::Parts : nvmeof_generic::TransportParts {
    using TransportParts::TransportParts;
};
