// SPDX-License-Identifier: Apache-2.0
// Installing the transport and taking it down; transport_requests.cpp has what reads and writes,
// transport_files.cpp what is exported.
#include "transport/nvmeof_generic_transport/nvmeof_transport.h"

#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <thread>
#include <utility>

#include "access_options.h"
#include "engine_error.h"
#include "machine_identity.h"
#include "stats_text.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport_parts.h"

namespace mooncake {

using namespace nvmeof_generic;

namespace {

// Of the segment that this engine publishes as its own; empty: it has none. Some engines throw
// there.
std::string localProtocol(TransferMetadata& metadata) {
    try {
        const auto local = metadata.getSegmentDescByID(LOCAL_SEGMENT_ID);
        return local ? local->protocol : "";
    } catch (const std::exception&) {
        return "";
    }
}

// Memory needs no registration; of memory that no processor can touch the caller should hear now.
// "*" is memory of any NUMA node.
int checkLocation(const std::string& location) {
    if (location.empty() || location == "*" || location == "cpu" || location.starts_with("cpu:")) {
        return 0;
    }
    return report("register memory",
                  makeError(EINVAL, "memory at the location " + inQuotes(location),
                            "files are read into and written from memory of the host alone "
                            "(\"cpu:0\", \"*\"): copy what a device has to such memory"));
}

// Other engines' descriptors have but one address.
template <class Descriptor>
void setAddresses(Descriptor& descriptor, const TransportAddresses& addresses,
                  const std::string& nqn) {
    const auto fill = [&](auto& trid, const TransportAddress& at) {
        trid = {at.trtype, at.adrfam, at.traddr, at.trsvcid, nqn};
    };
    fill(descriptor.nvmeof_generic_trid, addresses.front());
    if (addresses.size() == 1) return;
    if constexpr (requires { descriptor.nvmeof_generic_trids; }) {
        for (const TransportAddress& at : addresses) {
            fill(descriptor.nvmeof_generic_trids.emplace_back(), at);
        }
    }
}

}  // namespace

NVMeoFGenericTransport::NVMeoFGenericTransport() = default;

// In a forked child: copies of what is the parent's, whose threads are not here. Asked before any
// lock is taken.
bool NVMeoFGenericTransport::inherited() const {
    return parts_ && !parts_->origin.here();
}

NVMeoFGenericTransport::~NVMeoFGenericTransport() {
    if (inherited()) {
        static_cast<void>(parts_.release());
        static_cast<void>(new std::shared_ptr<TransferMetadata>(std::move(metadata_)));
        return;
    }
    // A metadata service that is away holds up what follows, and nobody may write meanwhile. With
    // segments in use the target comes later: one of them may be this node's own.
    if (parts_ && parts_->target && (!parts_->segments || parts_->segments->empty()))
        parts_->target->cutOff();
    // What is published after this would never be withdrawn.
    if (parts_) parts_->lostFiles.stop();
    // Withdrawn first, so that nobody comes to a target that is about to go.
    if (published_ && metadata_) metadata_->removeSegmentDesc(local_server_name_);
    const bool installed = parts_ != nullptr;
    parts_.reset();
    // Mooncake's engine keeps the very object that it was given, whose code leaves with the plugin.
    if (installed) {
        if (localProtocol(*metadata_) == kProtocol) {
            metadata_->removeLocalSegment(local_server_name_);
        }
    }
}

int NVMeoFGenericTransport::install(std::string& local_server_name,
                                    std::shared_ptr<TransferMetadata> meta,
                                    std::shared_ptr<Topology>) {
    return installWithArgs(local_server_name, std::move(meta), nullptr);
}

int NVMeoFGenericTransport::installWithArgs(std::string& local_server_name,
                                            std::shared_ptr<TransferMetadata> meta, void** args) {
    if (inherited()) return ERR_CONTEXT;
    if (parts_) return report("install", makeError(EEXIST, "the transport is installed already"));
    if (!meta) return report("install", makeError(EINVAL, "no metadata"));
    local_server_name_ = local_server_name;
    metadata_ = std::move(meta);
    auto parts = std::make_unique<Parts>(*metadata_);

    auto options = readEnvironment(environ);
    if (!options.ok()) return report("options", options.error());
    parts->options = options.take();
    if (auto begun = parts->beginStats(); !begun.ok()) return report("statistics", begun.error());

    auto descriptor = std::make_shared<SegmentDesc>();
    descriptor->name = local_server_name_;
    descriptor->protocol = kProtocol;
    descriptor->tcp_data_port = 0;
    const bool exports = args != nullptr && args[0] != nullptr;
    const std::string beside = localProtocol(*metadata_);
    if (exports && !beside.empty() && beside != kProtocol) {
        return report("install",
                      makeError(EEXIST, "cannot export files as segment " + local_server_name_,
                                "this engine publishes it for " + beside +
                                    " already, and a segment has one protocol: export files with "
                                    "an engine of its own"));
    }
    if (exports) {
        auto addresses = readArguments(static_cast<const char*>(args[0]), parts->options.target);
        if (!addresses.ok()) return report("target arguments", addresses.error());
        parts->options.target.segment = local_server_name_;
        parts->options.target.localAccess = parts->options.localAccess;
        parts->options.target.fileLost = [withdrawals = &parts->lostFiles](uint32_t nsid) {
            withdrawals->add(nsid);
        };
        auto target = Target::start(addresses.value().listen, parts->options.target);
        if (!target.ok()) return report("target", target.error());
        parts->target = target.take();
        parts->published = addresses.value().published;
        setAddresses(*descriptor, parts->published, parts->target->subsystemNqn());
        setMachine(*descriptor);
    }

    if (auto made = parts->makeInitiator(); !made.ok()) {
        if (!exports) return report("initiator", made.error());
        parts->noInitiator = made.error().message;
        LOG(WARNING) << kProtocol
                     << ": this node exports files but cannot read or write remote ones: "
                     << made.error().message;
    }
    if (auto started = parts->startThreads(); !started.ok()) {
        return report("install", started.error());
    }

    // Another transport's, with the memory that it publishes, stays.
    if (exports || beside.empty()) {
        if (int error = metadata_->addLocalSegment(LOCAL_SEGMENT_ID, local_server_name_,
                                                   std::move(descriptor));
            error != 0) {
            LOG(ERROR) << kProtocol << ": the local segment could not be added to the metadata";
            return error;
        }
    }
    // Who exports nothing has nothing to publish, and must not overwrite the record of a node that
    // does.
    if (exports) {
        if (int error = parts->publications.note(metadata_->updateLocalSegmentDesc()); error != 0) {
            LOG(ERROR) << kProtocol << ": segment " << local_server_name_
                       << " could not be published: is the metadata service reachable?";
            metadata_->removeLocalSegment(local_server_name_);
            return error;
        }
        published_ = true;
    }
    parts->complete = true;
    if (parts->statsWriter) parts->statsWriter->callAt(Housekeeper::Clock::now());
    parts_ = std::move(parts);
    return 0;
}

// Whether it is installed, by this process, and can read and write.
bool NVMeoFGenericTransport::usable() const {
    return parts_ && parts_->pool && !inherited();
}

void NVMeoFGenericTransport::enableProgress() {
    if (usable()) parts_->pool->enablePolling();
}

bool NVMeoFGenericTransport::progress() {
    return usable() && parts_->pool->poll();
}

bool NVMeoFGenericTransport::waitForProgress(std::chrono::nanoseconds limit) {
    if (inherited()) return false;
    if (usable()) return parts_->pool->wait(limit);
    std::this_thread::sleep_for(limit);
    return false;
}

TransportStats NVMeoFGenericTransport::getStats() const {
    return parts_ && !inherited() ? parts_->stats() : TransportStats{};
}

std::string NVMeoFGenericTransport::getStatsText() const {
    return statsText(getStats(), parts_ ? parts_->options.statsLabel : "");
}

SubmitStats NVMeoFGenericTransport::submitStats() const {
    return usable() ? parts_->submits() : SubmitStats{};
}

std::vector<PathStats> NVMeoFGenericTransport::pathStats(uint64_t segment) const {
    const bool reachesOthers = usable() && parts_->segments;
    return reachesOthers ? parts_->segments->paths(segment) : std::vector<PathStats>{};
}

int NVMeoFGenericTransport::registerLocalMemory(void*, size_t, const std::string& location, bool,
                                                bool) {
    return checkLocation(location);
}

int NVMeoFGenericTransport::unregisterLocalMemory(void*, bool) {
    return 0;
}

int NVMeoFGenericTransport::registerLocalMemoryBatch(const std::vector<BufferEntry>&,
                                                     const std::string& location) {
    return checkLocation(location);
}

int NVMeoFGenericTransport::unregisterLocalMemoryBatch(const std::vector<void*>&) {
    return 0;
}

}  // namespace mooncake
