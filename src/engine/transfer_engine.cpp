// SPDX-License-Identifier: Apache-2.0
#include "transfer_engine.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <system_error>
#include <utility>

#include "endpoints.h"
#include "inherited.h"
#include "metadata_keys.h"
#include "number_set.h"
#include "transport/nvmeof_generic_transport/common/this_process.h"

namespace mooncake {

namespace {

using nvmeof_generic::thisProcess;

std::string normalised(const std::string& path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    return (error ? std::filesystem::path(path) : absolute).lexically_normal().string();
}

// std::less orders any two pointers, which < need not.
bool overlaps(const void* a, size_t a_length, const void* b, size_t b_length) {
    const std::less<const char*> before;
    const auto* a_begin = static_cast<const char*>(a);
    const auto* b_begin = static_cast<const char*>(b);
    return before(a_begin, b_begin + b_length) && before(b_begin, a_begin + a_length);
}

// What a transport gives, also where it has no memory: whoever asks has something to settle.
template <typename Call>
int codeOf(const Call& call) {
    try {
        return call();
    } catch (const std::bad_alloc&) {
        return ERR_MEMORY;
    }
}

// Calls add(transport) on each; where one fails, undo(transport) on those before it. The failure,
// or 0.
template <typename Add, typename Undo>
int addToAll(const std::vector<Transport*>& transports, const Add& add, const Undo& undo) {
    for (size_t i = 0; i < transports.size(); ++i) {
        const int rc = codeOf([&] { return add(transports[i]); });
        if (rc == 0) continue;
        // How far one came that ran out of memory, nobody knows.
        if (rc == ERR_MEMORY) ++i;
        while (i-- > 0) {
            (void)codeOf([&] {
                undo(transports[i]);
                return 0;
            });
        }
        return rc;
    }
    return 0;
}

// Calls remove(transport) on each. One that no longer has what is removed is no failure: an earlier
// try may have got this far. The last failure, or 0.
template <typename Remove>
int removeFromAll(const std::vector<Transport*>& transports, const Remove& remove) {
    int result = 0;
    for (Transport* transport : transports) {
        const int rc = codeOf([&] { return remove(transport); });
        if (rc != 0 && rc != ERR_ADDRESS_NOT_REGISTERED) result = rc;
    }
    return result;
}

// The address that a node with P2PHANDSHAKE is named by; port 0 where it names none, or 0.
Status addressInName(const std::string& name, TransferMetadata::RpcMetaDesc* address) {
    std::string text = isValidIpV6(name) ? "[" + name + "]" : name;
    if (text.ends_with(":0")) text.resize(text.size() - 2);
    std::vector<StoreEndpoint> parsed;
    const Status status =
        parseEndpoints("with P2PHANDSHAKE the name of a node is its address; it", text, 0, &parsed);
    if (!status.ok()) return status;
    address->ip_or_host_name = parsed[0].host;
    address->rpc_port = parsed[0].port;
    return status;
}

// What a child has of its parent's: copies whose threads are not here. They are left as they are,
// and within reach, so that no tool takes them for leaks.
struct Left {
    std::unique_ptr<MultiTransport> transports;
    std::shared_ptr<TransferMetadata> metadata;
    Left* next = nullptr;
};

void leave(Left left) {
    static std::atomic<Left*> all{nullptr};
    auto* kept = new Left(std::move(left));
    kept->next = all.load(std::memory_order_relaxed);
    while (!all.compare_exchange_weak(kept->next, kept)) {
    }
}

std::string withoutLeadingSlashes(const std::string& name) {
    return name.substr(std::min(name.find_first_not_of('/'), name.size()));
}

}  // namespace

TransferEngine::TransferEngine(bool auto_discover)
    : chosen_file_ids_(std::make_unique<NumberSet>()) {
    (void)auto_discover;
}

TransferEngine::TransferEngine(bool auto_discover, const std::vector<std::string>& filter)
    : TransferEngine(auto_discover) {
    (void)filter;
}

TransferEngine::~TransferEngine() {
    if (inherited()) {
        leave({std::move(multi_transports_), std::move(metadata_)});
        return;
    }
    freeEngine();
}

bool TransferEngine::inherited() const {
    const uint64_t process = process_.load(std::memory_order_relaxed);
    return process != 0 && process != thisProcess();
}

bool TransferEngine::refusesInherited(const char* what_not) const {
    if (!inherited()) return false;
    sayInherited(what_not);
    return true;
}

MultiTransport* TransferEngine::ready() const {
    return inherited() ? nullptr : ready_.load(std::memory_order_acquire);
}

Status TransferEngine::notReady() const {
    return Status::Context(inherited() ? kInheritedEngine
                                       : "the engine is not initialised, or was freed");
}

int TransferEngine::init(const std::string& metadata_conn_string,
                         const std::string& local_server_name, const std::string& ip_or_host_name,
                         uint64_t rpc_port, NameInUse name_in_use) {
    // Whoever initialises an engine has it; before that it is nobody's.
    uint64_t nobody = 0;
    process_.compare_exchange_strong(nobody, thisProcess());
    if (refusesInherited("The engine is not initialised")) return ERR_INVALID_ARGUMENT;
    std::unique_lock setup(setup_mutex_);
    if (multi_transports_) {
        LOG(ERROR) << "The engine was initialised before; each init needs a TransferEngine of its "
                      "own";
        return ERR_INVALID_ARGUMENT;
    }
    const Status name = checkServerName(local_server_name);
    if (!name.ok()) {
        LOG(ERROR) << "The engine is not initialised: " << name.message();
        return ERR_INVALID_ARGUMENT;
    }
    if (rpc_port > std::numeric_limits<uint16_t>::max()) {
        LOG(ERROR) << "The engine is not initialised: the RPC port " << rpc_port
                   << " is larger than 65535";
        return ERR_INVALID_ARGUMENT;
    }
    TransferMetadata::RpcMetaDesc rpc;
    const bool p2p = metadata_conn_string == P2PHANDSHAKE;
    if (p2p) {
        const Status address = addressInName(local_server_name, &rpc);
        if (!address.ok()) {
            LOG(ERROR) << "The engine is not initialised: " << address.message();
            return ERR_INVALID_ARGUMENT;
        }
    } else {
        rpc.ip_or_host_name = ip_or_host_name.empty()
                                  ? parseHostNameWithPort(local_server_name).first
                                  : ip_or_host_name;
        rpc.rpc_port = static_cast<uint16_t>(rpc_port);
    }

    auto metadata = std::make_shared<TransferMetadata>(metadata_conn_string);
    if (!metadata->status().ok()) return ERR_INVALID_ARGUMENT;
    if (const int rc = metadata->addRpcMetaEntry(local_server_name, rpc, name_in_use); rc != 0) {
        return rc;
    }

    // Where the nodes ask each other, the name is the address.
    const std::string own_name =
        p2p ? maybeWrapIpV6(rpc.ip_or_host_name) + ":" + std::to_string(rpc.rpc_port)
            : local_server_name;
    multi_transports_ = std::make_unique<MultiTransport>(metadata, own_name);
    {
        std::lock_guard lock(mutex_);
        metadata_ = std::move(metadata);
        local_server_name_ = own_name;
    }
    ready_.store(multi_transports_.get(), std::memory_order_release);
    return 0;
}

int TransferEngine::freeEngine() {
    if (refusesInherited("Nothing is freed")) return ERR_INVALID_ARGUMENT;
    std::unique_lock setup(setup_mutex_);
    if (multi_transports_) multi_transports_->shutdown();
    std::shared_ptr<TransferMetadata> metadata;
    {
        std::lock_guard lock(mutex_);
        metadata = std::exchange(metadata_, nullptr);
        local_files_.clear();
        local_memory_regions_.clear();
    }
    // After the transports: they had something to say about their segments until now.
    return metadata ? metadata->removePublished() : 0;
}

Transport* TransferEngine::installTransport(const std::string& proto, void** args) {
    if (refusesInherited("No transport is installed")) return nullptr;
    std::unique_lock setup(setup_mutex_);
    if (!isReady("No transport is installed")) return nullptr;
    if (Transport* there = multi_transports_->getTransport(proto)) {
        LOG(WARNING) << "Transport " << proto << " is installed already";
        return there;
    }
    Transport* transport = multi_transports_->installTransportWithArgs(proto, args);
    if (transport == nullptr) return nullptr;
    if (replayRegistrations(transport) != 0) {
        multi_transports_->uninstallTransport(proto);
        return nullptr;
    }
    return transport;
}

bool TransferEngine::isReady(const char* what_not) {
    if (getMetadata()) return true;
    LOG(ERROR) << what_not << ": " << notReady().message();
    return false;
}

// Tells a new transport what was registered before it came. With setup_mutex_ held exclusively, so
// all is settled.
int TransferEngine::replayRegistrations(Transport* transport) {
    std::lock_guard lock(mutex_);
    for (const MemoryRegion& region : local_memory_regions_) {
        const int rc = transport->registerLocalMemory(region.addr, region.length, region.location,
                                                      region.remote_accessible);
        if (rc != 0) {
            LOG(ERROR) << "Transport " << transport->getName()
                       << " does not take the memory registered before it: error " << rc;
            return rc;
        }
    }
    if (!transport->supportFileBuffer()) return 0;
    TransferMetadata::Gathering gathering(*metadata_);
    for (const auto& [path, file] : local_files_) {
        if (const int rc = exportFile(transport, file); rc != 0) {
            LOG(ERROR) << "Transport " << transport->getName() << " does not take the file '"
                       << file.path << "' registered before it: error " << rc;
            return rc;
        }
    }
    std::vector<FileBufferID> refused;
    const int rc = gathering.publish(&refused);
    return rc == 0 && !refused.empty() ? ERR_METADATA : rc;
}

int TransferEngine::uninstallTransport(const std::string& proto) {
    if (refusesInherited("No transport is uninstalled")) return ERR_INVALID_ARGUMENT;
    std::unique_lock setup(setup_mutex_);
    if (!isReady("No transport is uninstalled")) return ERR_INVALID_ARGUMENT;
    const int rc = multi_transports_->uninstallTransport(proto);
    if (rc == 0 && fileTransports().empty()) {
        std::lock_guard lock(mutex_);
        local_files_.clear();
    }
    return rc;
}

std::string TransferEngine::getLocalIpAndPort() {
    const auto metadata = getMetadata();
    if (!metadata) return "";
    const auto rpc = metadata->localRpcMeta();
    return maybeWrapIpV6(rpc.ip_or_host_name) + ":" + std::to_string(rpc.rpc_port);
}

int TransferEngine::getRpcPort() {
    const auto metadata = getMetadata();
    return metadata ? metadata->localRpcMeta().rpc_port : ERR_INVALID_ARGUMENT;
}

SegmentHandle TransferEngine::openSegment(const std::string& segment_name) {
    const auto metadata = getMetadata();
    if (!metadata) {
        if (refusesInherited("No segment is opened")) return TransferMetadata::kInvalidSegmentID;
        LOG(ERROR) << "No segment is opened: " << notReady().message();
        return TransferMetadata::kInvalidSegmentID;
    }
    return metadata->getSegmentID(withoutLeadingSlashes(segment_name));
}

int TransferEngine::closeSegment(SegmentHandle handle) {
    const auto metadata = getMetadata();
    return metadata ? metadata->closeSegment(handle) : ERR_INVALID_ARGUMENT;
}

int TransferEngine::removeLocalSegment(const std::string& segment_name) {
    const auto metadata = getMetadata();
    const std::string name = withoutLeadingSlashes(segment_name);
    if (!metadata || name.empty()) return ERR_INVALID_ARGUMENT;
    return metadata->removeLocalSegment(name);
}

bool TransferEngine::checkOverlap(void* addr, uint64_t length) {
    if (inherited()) return false;
    std::lock_guard lock(mutex_);
    return std::any_of(local_memory_regions_.begin(), local_memory_regions_.end(),
                       [&](const MemoryRegion& region) {
                           return overlaps(addr, length, region.addr, region.length);
                       });
}

// Enters the regions as not settled, so that an overlapping registration is refused while the
// transports are at it.
int TransferEngine::reserveRegions(const std::vector<BufferEntry>& buffers,
                                   const std::string& location, bool remote_accessible) {
    std::lock_guard lock(mutex_);
    const size_t before = local_memory_regions_.size();
    for (const BufferEntry& buffer : buffers) {
        int rc = 0;
        if (buffer.addr == nullptr || buffer.length == 0 ||
            buffer.length > UINTPTR_MAX - reinterpret_cast<uintptr_t>(buffer.addr)) {
            LOG(ERROR) << "Memory at " << buffer.addr << " of " << buffer.length
                       << " bytes cannot be registered: it is null, empty or beyond memory";
            rc = ERR_INVALID_ARGUMENT;
        }
        for (size_t i = 0; rc == 0 && i < local_memory_regions_.size(); ++i) {
            const MemoryRegion& other = local_memory_regions_[i];
            if (overlaps(buffer.addr, buffer.length, other.addr, other.length)) {
                LOG(ERROR) << "Memory at " << buffer.addr << " of " << buffer.length
                           << " bytes cannot be registered: it overlaps the region at "
                           << other.addr << " of " << other.length << " bytes";
                rc = ERR_ADDRESS_OVERLAPPED;
            }
        }
        if (rc != 0) {
            local_memory_regions_.resize(before);
            return rc;
        }
        local_memory_regions_.push_back(
            {buffer.addr, buffer.length, location, remote_accessible, false});
    }
    return 0;
}

void TransferEngine::settleRegions(const std::vector<void*>& addresses, bool registered) {
    std::lock_guard lock(mutex_);
    for (void* addr : addresses) {
        auto region = std::find_if(local_memory_regions_.begin(), local_memory_regions_.end(),
                                   [addr](const MemoryRegion& r) { return r.addr == addr; });
        if (region == local_memory_regions_.end()) continue;
        if (registered) {
            region->settled = true;
        } else {
            local_memory_regions_.erase(region);
        }
    }
}

// Marks the regions as not settled: the caller alone may go on to unregister them.
int TransferEngine::claimRegions(const std::vector<void*>& addresses) {
    std::lock_guard lock(mutex_);
    std::vector<MemoryRegion*> claimed;
    for (void* addr : addresses) {
        auto region = std::find_if(local_memory_regions_.begin(), local_memory_regions_.end(),
                                   [addr](const MemoryRegion& r) { return r.addr == addr; });
        if (region == local_memory_regions_.end() || !region->settled) {
            LOG(ERROR) << "Memory at " << addr
                       << " cannot be unregistered: no registered region starts there";
            for (MemoryRegion* done : claimed) done->settled = true;
            return ERR_ADDRESS_NOT_REGISTERED;
        }
        region->settled = false;
        claimed.push_back(&*region);
    }
    return 0;
}

int TransferEngine::registerLocalMemory(void* addr, size_t length, const std::string& location,
                                        bool remote_accessible, bool update_metadata) {
    if (refusesInherited("Memory is not registered")) return ERR_INVALID_ARGUMENT;
    std::shared_lock setup(setup_mutex_);
    if (!isReady("Memory is not registered")) return ERR_INVALID_ARGUMENT;
    if (const int rc = reserveRegions({{addr, length}}, location, remote_accessible); rc != 0) {
        return rc;
    }
    const int rc = addToAll(
        multi_transports_->listTransports(),
        [&](Transport* transport) {
            return transport->registerLocalMemory(addr, length, location, remote_accessible,
                                                  update_metadata);
        },
        [&](Transport* transport) { transport->unregisterLocalMemory(addr, update_metadata); });
    settleRegions({addr}, rc == 0);
    return rc;
}

int TransferEngine::unregisterLocalMemory(void* addr, bool update_metadata) {
    if (refusesInherited("Memory is not unregistered")) return ERR_INVALID_ARGUMENT;
    std::shared_lock setup(setup_mutex_);
    if (!isReady("Memory is not unregistered")) return ERR_INVALID_ARGUMENT;
    if (const int rc = claimRegions({addr}); rc != 0) return rc;
    const int rc = removeFromAll(multi_transports_->listTransports(), [&](Transport* transport) {
        return transport->unregisterLocalMemory(addr, update_metadata);
    });
    settleRegions({addr}, rc != 0);
    return rc;
}

int TransferEngine::registerLocalMemoryBatch(const std::vector<BufferEntry>& buffer_list,
                                             const std::string& location) {
    if (refusesInherited("Memory is not registered")) return ERR_INVALID_ARGUMENT;
    std::shared_lock setup(setup_mutex_);
    if (!isReady("Memory is not registered")) return ERR_INVALID_ARGUMENT;
    if (const int rc = reserveRegions(buffer_list, location, true); rc != 0) return rc;
    std::vector<void*> addresses;
    for (const BufferEntry& buffer : buffer_list) addresses.push_back(buffer.addr);
    const int rc = addToAll(
        multi_transports_->listTransports(),
        [&](Transport* transport) {
            return transport->registerLocalMemoryBatch(buffer_list, location);
        },
        [&](Transport* transport) { transport->unregisterLocalMemoryBatch(addresses); });
    settleRegions(addresses, rc == 0);
    return rc;
}

int TransferEngine::unregisterLocalMemoryBatch(const std::vector<void*>& addr_list) {
    if (refusesInherited("Memory is not unregistered")) return ERR_INVALID_ARGUMENT;
    std::shared_lock setup(setup_mutex_);
    if (!isReady("Memory is not unregistered")) return ERR_INVALID_ARGUMENT;
    if (const int rc = claimRegions(addr_list); rc != 0) return rc;
    const int rc = removeFromAll(multi_transports_->listTransports(), [&](Transport* transport) {
        return transport->unregisterLocalMemoryBatch(addr_list);
    });
    settleRegions(addr_list, rc != 0);
    return rc;
}

// With setup_mutex_ held.
std::vector<Transport*> TransferEngine::fileTransports() {
    MultiTransport* transports = ready();
    std::vector<Transport*> list;
    if (transports != nullptr) list = transports->listTransports();
    std::erase_if(list, [](Transport* transport) { return !transport->supportFileBuffer(); });
    return list;
}

bool TransferEngine::supportFileBuffer() {
    if (inherited()) return false;
    std::shared_lock setup(setup_mutex_);
    return !fileTransports().empty();
}

int TransferEngine::exportFile(Transport* transport, const LocalFile& file) {
    if (file.options.check_path && !file.options.read_only) {
        return transport->registerLocalFile(file.id, file.path, file.size);
    }
    auto* exporter = dynamic_cast<FileExporter*>(transport);
    if (exporter == nullptr) return ERR_NOT_IMPLEMENTED;
    return exporter->exportLocalFile(file.id, file.path, file.size, file.options);
}

int TransferEngine::registerLocalFile(const std::string& path, size_t size, FileBufferID& id) {
    return registerLocalFile(path, size, id, LocalFileOptions{});
}

int TransferEngine::registerLocalFile(const std::string& path, size_t size, FileBufferID& id,
                                      const LocalFileOptions& options) {
    return registerFile(path, size, &id, true, options);
}

int TransferEngine::registerLocalFileAs(const std::string& path, size_t size, FileBufferID id,
                                        const LocalFileOptions& options) {
    if (id == 0 || id > kMaxChosenFileID) {
        LOG(ERROR) << "File '" << path << "' is not registered: " << id
                   << " is no number to choose for a file; they go from 1 to " << kMaxChosenFileID;
        return ERR_INVALID_ARGUMENT;
    }
    return registerFile(path, size, &id, false, options);
}

// With `choose` *id receives the number, else it says which.
int TransferEngine::registerFile(const std::string& path, size_t size, FileBufferID* id,
                                 bool choose, const LocalFileOptions& options) {
    if (refusesInherited("No file is registered")) return ERR_INVALID_ARGUMENT;
    std::shared_lock setup(setup_mutex_);
    if (path.empty() || path.find('\0') != std::string::npos) {
        LOG(ERROR) << "No file is registered: its path is empty or holds a zero byte";
        return ERR_INVALID_ARGUMENT;
    }
    const std::vector<Transport*> transports = fileTransports();
    if (transports.empty()) {
        LOG(ERROR) << "File '" << path
                   << "' is not registered: no transport that serves files is installed";
        return ERR_NOT_IMPLEMENTED;
    }
    const std::string key = normalised(path);
    LocalFile file{0, path, size, options, false};
    {
        // The entry keeps others from the path; the transports take their time without the lock.
        std::lock_guard lock(mutex_);
        if (local_files_.count(key) != 0) {
            LOG(ERROR) << "File '" << path << "' is not registered: it is registered already";
            return ERR_ADDRESS_OVERLAPPED;
        }
        const auto taken = [this](FileBufferID number) {
            return chosen_file_ids_->contains(number) ||
                   std::any_of(local_files_.begin(), local_files_.end(),
                               [number](const auto& other) { return other.second.id == number; });
        };
        if (choose) {
            while (next_file_id_ != 0 && taken(next_file_id_)) ++next_file_id_;
            if (next_file_id_ == 0) {
                LOG(ERROR) << "File '" << path << "' is not registered: all file ids are used up";
                return ERR_TOO_MANY_REQUESTS;
            }
            // Used up also if this fails: a number that a transport has seen must not come to mean
            // another file.
            file.id = next_file_id_++;
        } else {
            file.id = *id;
            if (next_file_id_ == 0 || file.id < next_file_id_ || taken(file.id)) {
                LOG(ERROR) << "File '" << path << "' is not registered: the number " << file.id
                           << " was given to a file before";
                return ERR_ADDRESS_OVERLAPPED;
            }
        }
        local_files_.emplace(key, file);
    }
    const int rc = addToAll(
        transports,
        [&file](Transport* transport) {
            const int one = exportFile(transport, file);
            LOG_IF(ERROR, one != 0) << "File '" << file.path << "' is not registered: transport "
                                    << transport->getName() << " failed with " << one;
            return one;
        },
        [&file](Transport* transport) { transport->unregisterLocalFile(file.id); });
    std::lock_guard lock(mutex_);
    // What was refused as it was asked for nobody has seen.
    if (!choose && rc != ERR_INVALID_ARGUMENT) chosen_file_ids_->insert(file.id);
    if (rc != 0) {
        local_files_.erase(key);
        return rc;
    }
    local_files_.at(key).settled = true;
    *id = file.id;
    return 0;
}

int TransferEngine::unregisterLocalFile(const std::string& path) {
    if (refusesInherited("No file is unregistered")) return ERR_INVALID_ARGUMENT;
    std::shared_lock setup(setup_mutex_);
    const std::vector<Transport*> transports = fileTransports();
    if (transports.empty()) {
        LOG(ERROR) << "File '" << path
                   << "' is not unregistered: no transport that serves files is installed";
        return ERR_NOT_IMPLEMENTED;
    }
    const std::string key = normalised(path);
    FileBufferID id = 0;
    {
        std::lock_guard lock(mutex_);
        auto found = local_files_.find(key);
        if (found == local_files_.end() || !found->second.settled) {
            LOG(ERROR) << "File '" << path << "' is not unregistered: it is not registered";
            return ERR_ADDRESS_NOT_REGISTERED;
        }
        found->second.settled = false;
        id = found->second.id;
    }
    const int rc = removeFromAll(
        transports, [id](Transport* transport) { return transport->unregisterLocalFile(id); });
    LOG_IF(ERROR, rc != 0) << "File '" << path
                           << "' is not unregistered: its transport failed with " << rc;
    std::lock_guard lock(mutex_);
    if (rc == 0) {
        local_files_.erase(key);
    } else {
        local_files_.at(key).settled = true;
    }
    return rc;
}

TransferEngine::FileBatch::FileBatch(TransferEngine& engine)
    : engine_(engine), metadata_(engine.getMetadata()) {
    if (metadata_) gathering_ = std::make_unique<TransferMetadata::Gathering>(*metadata_);
}

TransferEngine::FileBatch::~FileBatch() {
    std::vector<std::string> refused;
    publish(&refused);
}

int TransferEngine::FileBatch::publish(std::vector<std::string>* refused) {
    refused->clear();
    if (engine_.refusesInherited("Nothing is published")) return ERR_INVALID_ARGUMENT;
    if (!gathering_) return metadata_ ? 0 : ERR_INVALID_ARGUMENT;
    std::vector<FileBufferID> ids;
    const int rc = gathering_->publish(&ids);
    gathering_.reset();
    {
        std::lock_guard lock(engine_.mutex_);
        for (const auto& [key, file] : engine_.local_files_) {
            if (std::find(ids.begin(), ids.end(), file.id) == ids.end()) continue;
            refused->push_back(file.path);
        }
    }
    for (const std::string& path : *refused) engine_.unregisterLocalFile(path);
    return rc;
}

int TransferEngine::withdrawLocalFiles(const std::vector<std::string>& paths) {
    const auto metadata = getMetadata();
    if (!metadata) return ERR_INVALID_ARGUMENT;
    std::vector<FileBufferID> ids;
    {
        std::lock_guard lock(mutex_);
        for (const std::string& path : paths) {
            const auto found = local_files_.find(normalised(path));
            if (found != local_files_.end() && found->second.settled) {
                ids.push_back(found->second.id);
            }
        }
    }
    const int rc = ids.empty() ? 0 : metadata->removeFileBuffers(ids);
    return rc == ERR_ADDRESS_NOT_REGISTERED ? 0 : rc;
}

BatchID TransferEngine::allocateBatchID(size_t batch_size) {
    MultiTransport* transports = ready();
    return transports ? transports->allocateBatchID(batch_size) : Transport::INVALID_BATCH_ID;
}

Status TransferEngine::freeBatchID(BatchID batch_id) {
    MultiTransport* transports = ready();
    return transports ? transports->freeBatchID(batch_id) : notReady();
}

Status TransferEngine::submitTransfer(BatchID batch_id,
                                      const std::vector<TransferRequest>& entries) {
    MultiTransport* transports = ready();
    return transports ? transports->submitTransfer(batch_id, entries) : notReady();
}

Status TransferEngine::getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status) {
    MultiTransport* transports = ready();
    return transports ? transports->getTransferStatus(batch_id, task_id, status) : notReady();
}

Status TransferEngine::getBatchTransferStatus(BatchID batch_id, TransferStatus& status) {
    MultiTransport* transports = ready();
    return transports ? transports->getBatchTransferStatus(batch_id, status) : notReady();
}

bool TransferEngine::waitForProgress(std::chrono::nanoseconds limit) {
    MultiTransport* const transports = ready();
    return transports != nullptr && transports->waitForProgress(limit);
}

Transport* TransferEngine::getTransport(const std::string& proto) {
    MultiTransport* transports = ready();
    return transports ? transports->getTransport(proto) : nullptr;
}

std::shared_ptr<TransferMetadata> TransferEngine::getMetadata() {
    if (inherited()) return nullptr;
    std::lock_guard lock(mutex_);
    return metadata_;
}

int TransferEngine::syncSegmentCache(const std::string& segment_name) {
    const auto metadata = getMetadata();
    return metadata ? metadata->syncSegmentCache(segment_name) : ERR_INVALID_ARGUMENT;
}

}  // namespace mooncake
