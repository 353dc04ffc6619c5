// SPDX-License-Identifier: Apache-2.0
#include "transport_parts.h"

#include <glog/logging.h>
#include <sys/utsname.h>

#include <chrono>
#include <exception>
#include <utility>

#include "descriptor_check.h"
#include "engine_error.h"
#include "local_access.h"
#include "machine_identity.h"
#include "stats_text.h"
#include "transport/nvmeof_generic_transport/common/replace_file.h"
#include "transport/nvmeof_generic_transport/target/connection_count.h"

namespace mooncake::nvmeof_generic {

namespace {

// An engine that gathers publications, or makes them by itself, says how they went. With any other
// each call is one.
template <class Metadata>
void fillPublications(const Metadata& metadata, const PublicationLog& calls, TargetStats& stats) {
    if constexpr (requires { metadata.publications(); }) {
        const auto all = metadata.publications();
        stats.published = all.current;
        stats.publications = all.succeeded;
        stats.publicationFailures = all.failed;
        if (all.succeeded != 0) {
            stats.sincePublication =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - all.last).count();
        }
    } else {
        calls.fill(stats);
    }
}

}  // namespace

TransportParts::~TransportParts() {
    // No new I/O, then none in flight, then no connections, then no exports: a process that reads
    // its own segment would otherwise wait for a target that it has removed itself.
    if (initiator) initiator->interrupt();
    if (segments) segments->stop();
    housekeeper.reset();
    statsWriter.reset();
    pool.reset();
    writeStats();
    segments.reset();
    initiator.reset();
    target.reset();
}

Result<RemoteDescriptor> TransportParts::describe(Transport::SegmentID id, bool fresh) {
    std::shared_ptr<TransferMetadata::SegmentDesc> descriptor;
    try {
        descriptor = metadata.getSegmentDescByID(id, fresh);
    } catch (const std::exception& error) {
        return Error{
            EIO, "segment " + std::to_string(id) + " has no readable descriptor: " + error.what()};
    }
    if (!descriptor) {
        return makeError(ENOENT, "segment " + std::to_string(id) + " has no descriptor",
                         "is its node running, and is the metadata service reachable?");
    }
    return checkDescriptor(*descriptor, options.allowedNetworks, machineIdentity());
}

SubmitStats TransportParts::submits() const {
    const SubmitCounts counts = pool ? pool->submitCounts() : SubmitCounts{};
    return {counts.calls, counts.ios};
}

TransportStats TransportParts::stats() const {
    TransportStats all;
    all.submits = submits();
    if (target) all.target = targetStats();
    if (segments) all.segments = segments->stats();
    return all;
}

TargetStats TransportParts::targetStats() const {
    TargetCounts counts = target->counts();
    TargetStats stats;
    stats.segment = options.target.segment;
    for (const TransportAddress& at : target->addresses()) {
        stats.address += (stats.address.empty() ? "" : ",") +
                         (at.adrfam == "ipv6" ? "[" + at.traddr + "]" : at.traddr) + ":" +
                         at.trsvcid;
        if (const auto count = countTcpConnections(at)) {
            stats.tcpConnections = stats.tcpConnections.value_or(0) + *count;
        }
    }
    stats.subsystemNqn = target->subsystemNqn();
    stats.files = counts.files;
    stats.bytes = counts.bytes;
    stats.withdrawn = std::move(counts.withdrawn);
    stats.anyHost = counts.anyHost;
    stats.allowedHosts = counts.allowedHosts;
    stats.controllers = countControllers(stats.subsystemNqn);
    fillPublications(metadata, publications, stats);
    return stats;
}

// Before anything is made: a file that cannot be written is an error of who asked for it.
Result<> TransportParts::beginStats() const {
    if (options.statsFile.empty()) return {};
    auto written = replaceFile(options.statsFile, statsText({}, options.statsLabel));
    if (written.ok()) return written;
    return Error{written.error().code,
                 written.error().message + "; MC_NVMEOF_GENERIC_STATS_FILE names it"};
}

void TransportParts::writeStats() {
    if (options.statsFile.empty() || !complete) return;
    auto written = replaceFile(options.statsFile, statsText(stats(), options.statsLabel));
    if (written.ok()) return;
    if (const auto left = statsLog.admit(LogPace::Clock::now())) {
        LOG(ERROR) << kProtocol << ": statistics: " << written.error().message << " (" << *left
                   << " such lines left out)";
    }
}

bool TransportParts::endLocalAccess(Transport::FileBufferID id, std::chrono::milliseconds limit) {
    if (!segments || !options.localAccess) return true;
    return segments->withdraw(target->subsystemNqn(), id, limit);
}

// What the target says of a file that it has lost, the segment's record repeats. A file that was
// unregistered meanwhile is not in it.
void TransportParts::withdraw(Transport::FileBufferID id) {
    static_cast<void>(endLocalAccess(id, {}));
    const int error = metadata.removeFileBuffer(id, true);
    if (error == ERR_ADDRESS_NOT_REGISTERED || publications.note(error) == 0) return;
    LOG(ERROR) << kProtocol << ": file " << id
               << ", which is exported no more, is still in the published descriptor: is the "
                  "metadata service reachable?";
}

Result<> TransportParts::makeInitiator() {
    auto madeInitiator = Initiator::create(options.initiator);
    if (!madeInitiator.ok()) return madeInitiator.error();
    auto madePool = IoPool::create(options.io);
    if (!madePool.ok()) return madePool.error();
    initiator = madeInitiator.take();
    if (target && options.localAccess) {
        initiator = std::make_unique<LocalAccess>(std::move(initiator), *target, published);
    }
    pool = madePool.take();
    makeSegments();
    return {};
}

void TransportParts::makeSegments() {
    SegmentContext context;
    context.describe = [this](uint64_t id, bool fresh) { return describe(id, fresh); };
    context.isKnown = [this](uint64_t id) { return metadata.getSegmentDescByID(id) != nullptr; };
    context.initiator = initiator.get();
    context.pool = pool.get();
    context.owner = &owner;
    context.patience = options.initiator.connectTimeout;
    context.downLimit = options.initiator.fastIoFail;
    context.ioLimit = options.initiator.ioTimeout;
    context.callAt = [this](Housekeeper::Clock::time_point when) { housekeeper->callAt(when); };
    context.refuseUnalignedWrites = options.refuseUnalignedWrites;
    utsname kernel{};
    if (uname(&kernel) == 0) context.kernelRelease = kernel.release;
    segments = std::make_unique<RemoteSegments>(std::move(context));
}

// Before anybody is told of this node. Who only exports, and counts nothing, needs no housekeeper.
Result<> TransportParts::startThreads() {
    if (target) {
        if (auto started = lostFiles.start(); !started.ok()) return started;
    }
    if (initiator) {
        housekeeper = std::make_unique<Housekeeper>(
            [this](Housekeeper::Clock::time_point now) { return segments->keepHouse(now); });
        if (auto started = housekeeper->start(); !started.ok()) return started;
    }
    if (options.statsFile.empty()) return {};
    statsWriter = std::make_unique<Housekeeper>([this](Housekeeper::Clock::time_point now) {
        writeStats();
        return now + options.statsInterval;
    });
    return statsWriter->start();
}

}  // namespace mooncake::nvmeof_generic
