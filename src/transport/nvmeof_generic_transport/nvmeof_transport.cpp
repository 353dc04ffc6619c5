// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/nvmeof_transport.h"

#include <glog/logging.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <utility>

#include "access_options.h"
#include "descriptor_check.h"
#include "environment.h"
#include "housekeeper.h"
#include "local_access.h"
#include "machine_identity.h"
#include "publication_log.h"
#include "slice_clock.h"
#include "stats_text.h"
#include "transport/nvmeof_generic_transport/common/log_pace.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/this_process.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"
#include "transport/nvmeof_generic_transport/segment/remote_segments.h"
#include "transport/nvmeof_generic_transport/target/connection_count.h"
#include "transport/nvmeof_generic_transport/target/target.h"
#include "withdrawals.h"

namespace mooncake {
namespace {

using namespace nvmeof_generic;

constexpr char kProtocol[] = "nvmeof_generic";
constexpr char kInherited[] =
    "the transport belongs to the process that this one was forked off; a forked child makes an "
    "engine of its own";

// Engines differ in how they declare a task's and a slice's fields: atomic, plain, or volatile.
template <class T, class V>
void set(std::atomic<T>& field, V value) {
    field.store(value, std::memory_order_relaxed);
}
template <class T, class V>
void set(T& field, V value) {
    field = value;
}

// Ends a slice. The poller may free task and slice as soon as the last slice of the task has ended.
void endSlice(void* context, int error) {
    auto* slice = static_cast<Transport::Slice*>(context);
    if (error == 0) {
        slice->markSuccess();
    } else {
        slice->markFailed();
    }
}

/// The segments' view of the engine's slices, which are the requests' contexts.
class SliceOwner final : public RequestOwner {
 public:
    Place placeOf(const void* context) const noexcept override {
        const auto* slice = static_cast<const Transport::Slice*>(context);
        return {slice->target_id, slice->file_id};
    }
    Clock::time_point submittedAt(const void* context) const noexcept override {
        const auto* slice = static_cast<const Transport::Slice*>(context);
        return Clock::now() - std::chrono::nanoseconds(nanosecondsSince(slice->ts));
    }
    void onEnded(void* context, int error, uint64_t bytes,
                 FileCounters& counters) noexcept override {
        const auto* slice = static_cast<Transport::Slice*>(context);
        counters.noteEnd(slice->opcode == Transport::TransferRequest::READ ? Direction::kRead
                                                                           : Direction::kWrite,
                         error, bytes, nanosecondsSince(slice->ts));
        endSlice(context, error);
    }
};

// Other engines' descriptors have no uuid.
template <class File>
void setUuid(File& file, const std::string& uuid) {
    if constexpr (requires { file.uuid; }) file.uuid = uuid;
}

// What the engine's headers have for a failure of each kind.
int engineCode(const Error& error) {
    switch (error.code) {
        case EINVAL:
        case EEXIST:
        case ENOENT:
        case EISDIR:
            return ERR_INVALID_ARGUMENT;
        default:
            return ERR_CONTEXT;
    }
}

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

int report(const std::string& what, const Error& error) {
    LOG(ERROR) << kProtocol << ": " << what << ": " << error.message;
    return engineCode(error);
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

}  // namespace

/// Built in the order of the members and taken down in a fixed order of its own.
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

struct NVMeoFGenericTransport::Parts {
    explicit Parts(TransferMetadata& meta) : metadata(meta) {}
    ~Parts();

    /// Makes what reading and writing needs: initiator and pool, or neither.
    Result<> makeInitiator();
    Result<> startThreads();
    void makeSegments();
    Result<RemoteDescriptor> describe(SegmentID id, bool fresh);
    void withdraw(FileBufferID id);
    /// @return whether no I/O of this process' own is on its way to the file any more
    bool endLocalAccess(FileBufferID id, std::chrono::milliseconds limit);
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
    TransportAddress published;            // the target's, for others
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

NVMeoFGenericTransport::Parts::~Parts() {
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

Result<RemoteDescriptor> NVMeoFGenericTransport::Parts::describe(SegmentID id, bool fresh) {
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

SubmitStats NVMeoFGenericTransport::Parts::submits() const {
    const SubmitCounts counts = pool ? pool->submitCounts() : SubmitCounts{};
    return {counts.calls, counts.ios};
}

TransportStats NVMeoFGenericTransport::Parts::stats() const {
    TransportStats all;
    all.submits = submits();
    if (target) all.target = targetStats();
    if (segments) all.segments = segments->stats();
    return all;
}

TargetStats NVMeoFGenericTransport::Parts::targetStats() const {
    const TransportAddress& at = target->address();
    TargetCounts counts = target->counts();
    TargetStats stats;
    stats.segment = options.target.segment;
    stats.address = (at.adrfam == "ipv6" ? "[" + at.traddr + "]" : at.traddr) + ":" + at.trsvcid;
    stats.subsystemNqn = target->subsystemNqn();
    stats.files = counts.files;
    stats.bytes = counts.bytes;
    stats.withdrawn = std::move(counts.withdrawn);
    stats.anyHost = counts.anyHost;
    stats.allowedHosts = counts.allowedHosts;
    stats.tcpConnections = countTcpConnections(at);
    stats.controllers = countControllers(stats.subsystemNqn);
    fillPublications(metadata, publications, stats);
    return stats;
}

// Before anything is made: a file that cannot be written is an error of who asked for it.
Result<> NVMeoFGenericTransport::Parts::beginStats() const {
    if (options.statsFile.empty()) return {};
    auto written = replaceFile(options.statsFile, statsText({}, options.statsLabel));
    if (written.ok()) return written;
    return Error{written.error().code,
                 written.error().message + "; MC_NVMEOF_GENERIC_STATS_FILE names it"};
}

void NVMeoFGenericTransport::Parts::writeStats() {
    if (options.statsFile.empty() || !complete) return;
    auto written = replaceFile(options.statsFile, statsText(stats(), options.statsLabel));
    if (written.ok()) return;
    if (const auto left = statsLog.admit(LogPace::Clock::now())) {
        LOG(ERROR) << kProtocol << ": statistics: " << written.error().message << " (" << *left
                   << " such lines left out)";
    }
}

bool NVMeoFGenericTransport::Parts::endLocalAccess(FileBufferID id,
                                                   std::chrono::milliseconds limit) {
    if (!segments || !options.localAccess) return true;
    return segments->withdraw(target->subsystemNqn(), id, limit);
}

// What the target says of a file that it has lost, the segment's record repeats. A file that was
// unregistered meanwhile is not in it.
void NVMeoFGenericTransport::Parts::withdraw(FileBufferID id) {
    static_cast<void>(endLocalAccess(id, {}));
    const int error = metadata.removeFileBuffer(id, true);
    if (error == ERR_ADDRESS_NOT_REGISTERED || publications.note(error) == 0) return;
    LOG(ERROR) << kProtocol << ": file " << id
               << ", which is exported no more, is still in the published descriptor: is the "
                  "metadata service reachable?";
}

// Null without a thread for a new one: the next request tries again.
Result<> NVMeoFGenericTransport::Parts::makeInitiator() {
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

void NVMeoFGenericTransport::Parts::makeSegments() {
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
Result<> NVMeoFGenericTransport::Parts::startThreads() {
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
        const TransportAddress& at = parts->published = addresses.value().published;
        descriptor->nvmeof_generic_trid = {at.trtype, at.adrfam, at.traddr, at.trsvcid,
                                           parts->target->subsystemNqn()};
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

Status NVMeoFGenericTransport::submitTransfer(BatchID batch_id,
                                              const std::vector<TransferRequest>& entries) {
    if (inherited()) return Status::InvalidArgument(kInherited);
    auto& batch = *reinterpret_cast<BatchDesc*>(batch_id);
    const size_t first = batch.task_list.size();
    if (first + entries.size() > batch.batch_size) {
        return Status::TooManyRequests(
            "the batch was made for " + std::to_string(batch.batch_size) + " tasks, has " +
            std::to_string(first) + " and got " + std::to_string(entries.size()) + " more");
    }
    std::vector<TransferTask*> tasks;
    try {
        tasks.reserve(entries.size());
        batch.task_list.resize(first + entries.size());
    } catch (const std::bad_alloc&) {
        return Status::Memory("no memory for " + std::to_string(entries.size()) + " tasks");
    }
    for (size_t i = 0; i < entries.size(); ++i) {
        TransferTask& task = batch.task_list[first + i];
        task.batch_id = batch_id;
        task.request = &entries[i];
        tasks.push_back(&task);
    }
    Status status = submitTransferTask(tasks);
    if (!status.ok()) batch.task_list.resize(first);
    return status;
}

// As a number: a program may give any, and an enumeration may not hold it.
static int opcodeOf(const Transport::TransferRequest& request) {
    int number = 0;
    static_assert(sizeof(number) == sizeof(request.opcode));
    std::memcpy(&number, &request.opcode, sizeof(number));
    return number;
}

// The one slice of a task. Throws std::bad_alloc; the task is as it was then.
void NVMeoFGenericTransport::addSlice(TransferTask& task, int64_t posted) {
    const TransferRequest& request = *task.request;
    task.slice_list.reserve(1);
    Slice* slice = getSliceCache().allocate();
    slice->source_addr = request.source;
    slice->length = request.length;
    // As it is: whether it is one is looked at later.
    std::memcpy(&slice->opcode, &request.opcode, sizeof(slice->opcode));
    slice->target_id = request.target_id;
    slice->file_id = request.file_id;
    slice->task = &task;
    set(slice->status, Slice::PENDING);
    set(slice->ts, posted);
    task.slice_list.push_back(slice);
    task.total_bytes = request.length;
}

Status NVMeoFGenericTransport::submitTransferTask(const std::vector<TransferTask*>& task_list) {
    if (!parts_) return Status::InvalidArgument("the nvmeof_generic transport is not installed");
    if (inherited()) return Status::InvalidArgument(kInherited);
    // All that takes memory comes before the first request is on its way: a call that fails has
    // started nothing.
    size_t made = 0;
    try {
        const int64_t posted = sliceClock();
        for (TransferTask* task : task_list) {
            if (parts_->segments) parts_->segments->prepare(task->request->target_id);
            addSlice(*task, posted);
            ++made;
        }
    } catch (const std::exception& error) {
        for (size_t i = 0; i < made; ++i) {
            TransferTask& task = *task_list[i];
            getSliceCache().deallocate(task.slice_list.back());
            task.slice_list.pop_back();
        }
        return Status::Memory(std::string("nothing was submitted: ") + error.what());
    }

    std::array<RemoteSegments::Request, 256> window;
    size_t count = 0;
    const auto send = [&] { parts_->segments->submit(window.data(), std::exchange(count, 0)); };
    for (TransferTask* task : task_list) {
        const TransferRequest& request = *task->request;
        Slice* const slice = task->slice_list.back();
        // Counted before it can end: a task with as many ended slices as it has is finished.
        set(task->slice_count, 1);
        const int opcode = opcodeOf(request);
        const bool read = opcode == TransferRequest::READ;
        if (!read && opcode != TransferRequest::WRITE) {
            endSlice(slice, EINVAL);
        } else if (!parts_->segments) {
            LOG_EVERY_T(ERROR, 10)
                << kProtocol << ": this node cannot read or write files: " << parts_->noInitiator;
            endSlice(slice, ENODEV);
        } else {
            window[count++] = {request.target_id,
                               request.file_id,
                               request.advise_retry_cnt,
                               {read ? IoOp::kRead : IoOp::kWrite, request.source,
                                request.target_offset, request.length, slice}};
            if (count == window.size()) send();
        }
    }
    if (count != 0) send();
    return Status::OK();
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
    return usable() ? parts_->stats() : TransportStats{};
}

std::string NVMeoFGenericTransport::getStatsText() const {
    return statsText(getStats(), parts_ ? parts_->options.statsLabel : "");
}

SubmitStats NVMeoFGenericTransport::submitStats() const {
    return usable() ? parts_->submits() : SubmitStats{};
}

Status NVMeoFGenericTransport::getTransferStatus(BatchID batch_id, size_t task_id,
                                                 TransferStatus& status) {
    if (inherited()) return Status::InvalidArgument(kInherited);
    auto& batch = *reinterpret_cast<BatchDesc*>(batch_id);
    if (task_id >= batch.task_list.size()) {
        return Status::InvalidArgument("the batch has " + std::to_string(batch.task_list.size()) +
                                       " tasks, so task " + std::to_string(task_id) +
                                       " is not one of them");
    }
    TransferTask& task = batch.task_list[task_id];
    const uint64_t failed = task.failed_slice_count;
    const uint64_t succeeded = task.success_slice_count;
    status.transferred_bytes = task.transferred_bytes;
    if (failed + succeeded < task.slice_count || task.slice_count == 0) {
        status.s = WAITING;
    } else {
        status.s = failed == 0 ? COMPLETED : FAILED;
        task.is_finished = true;
    }
    return Status::OK();
}

int NVMeoFGenericTransport::registerLocalFile(FileBufferID id, const std::string& path,
                                              size_t size) {
    return exportLocalFile(id, path, size, LocalFileOptions{});
}

int NVMeoFGenericTransport::exportLocalFile(FileBufferID id, const std::string& path, size_t size,
                                            const LocalFileOptions& options) {
    if (inherited()) return ERR_CONTEXT;
    if (!parts_ || !parts_->target) {
        return report("register " + path,
                      makeError(EINVAL, "this node exports nothing",
                                "give installTransport the address to export at in args[0]"));
    }
    const FileRules rules{options.read_only, options.check_path ? PathCheck::kOn : PathCheck::kOff};
    auto exported = parts_->target->addFile(id, path, size, rules);
    if (!exported.ok()) return report("register " + path, exported.error());
    const ExportedFile& file = exported.value();
    TransferMetadata::FileBufferDesc published{};
    published.id = id;
    published.path = path;
    published.size = file.size;
    published.align = file.blockSize;
    setUuid(published, file.uuid);
    if (int error = parts_->publications.note(metadata_->addFileBuffer(published, true));
        error != 0) {
        LOG(ERROR) << kProtocol << ": register " << path
                   << ": the file could not be published: is the metadata service reachable?";
        metadata_->removeFileBuffer(id, false);
        if (auto removed = parts_->target->removeFile(id); !removed.ok()) {
            report("take back " + path, removed.error());
        }
        return error;
    }
    // Lost again before it was in the record, from which it was to be taken.
    if (!parts_->target->exports(id)) {
        parts_->withdraw(id);
        LOG(ERROR) << kProtocol << ": register " << path
                   << ": it changed meanwhile; register it again when it is at rest";
        return ERR_CONTEXT;
    }
    return 0;
}

int NVMeoFGenericTransport::unregisterLocalFile(FileBufferID id) {
    if (inherited()) return ERR_CONTEXT;
    if (!parts_ || !parts_->target) {
        return report("unregister file " + std::to_string(id),
                      makeError(ENOENT, "this node exports nothing"));
    }
    // Withdrawn first, so that nobody new asks for it. Where that fails the export still ends: that
    // is what the caller needs, and an initiator that comes by the old record is told that the
    // namespace is gone.
    const int error = metadata_->removeFileBuffer(id, true);
    if (error != ERR_ADDRESS_NOT_REGISTERED && parts_->publications.note(error) != 0) {
        LOG(ERROR) << kProtocol << ": file " << id
                   << " is still in the published descriptor: is the metadata service reachable?";
    }
    const bool quiet = parts_->endLocalAccess(id, parts_->options.target.removalLimit);
    auto removed = parts_->target->removeFile(id);
    if (removed.ok() && !quiet) {
        return report("unregister file " + std::to_string(id),
                      makeError(EBUSY, "requests of this process are still on their way to it",
                                "its disk does not answer"));
    }
    // One that the target has lost, or that went after an earlier call had given up, is not
    // exported any more, which is all that the caller wants.
    if (!removed.ok() && removed.error().code != ENOENT) {
        return report("unregister file " + std::to_string(id), removed.error());
    }
    return 0;
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
