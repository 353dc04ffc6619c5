// SPDX-License-Identifier: Apache-2.0
#include "transfer_metadata.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "metadata_codec.h"
#include "metadata_keys.h"
#include "metadata_storage.h"
#include "record_keeper.h"

namespace mooncake {

namespace {

using Outcome = MetadataStorage::Outcome;
using SegmentDesc = TransferMetadata::SegmentDesc;

std::unique_ptr<const MetadataKeys> makeKeys(Status* status) {
    auto keys = std::make_unique<MetadataKeys>();
    *status = MetadataKeys::create(std::getenv("MC_METADATA_CLUSTER_ID"), keys.get());
    return keys;
}

constexpr std::chrono::seconds kCheckInterval(5);

// A store that comes back with a copy of earlier days has an older record. Garbage is nobody's.
bool recordGivesWay(const std::string& found, const std::string& own) {
    SegmentDesc found_desc;
    SegmentDesc own_desc;
    if (decodeSegmentDesc(own, &own_desc).ok()) {
        return !decodeSegmentDesc(found, &found_desc).ok() ||
               found_desc.timestamp < own_desc.timestamp;
    }
    TransferMetadata::RpcMetaDesc address;
    return !decodeRpcMeta(found, &address).ok();
}

}  // namespace

TransferMetadata::TransferMetadata(const std::string& conn_string) : keys_(makeKeys(&status_)) {
    if (status_.ok()) status_ = createMetadataStorage(conn_string, StoreLimits(), &storage_);
    if (!status_.ok()) {
        LOG(ERROR) << "No metadata store: " << status_.message();
        return;
    }
    keeper_ =
        std::make_unique<RecordKeeper>(storage_, kCheckInterval, &publish_mutex_, recordGivesWay);
}

TransferMetadata::TransferMetadata(std::shared_ptr<MetadataStorage> storage,
                                   std::chrono::milliseconds check_interval)
    : storage_(std::move(storage)), keys_(makeKeys(&status_)) {
    if (!status_.ok()) {
        storage_.reset();
        LOG(ERROR) << "No metadata store: " << status_.message();
        return;
    }
    keeper_ =
        std::make_unique<RecordKeeper>(storage_, check_interval, &publish_mutex_, recordGivesWay);
}

TransferMetadata::~TransferMetadata() = default;

std::shared_ptr<SegmentDesc> TransferMetadata::localDesc(SegmentID segment_id) const {
    std::shared_lock lock(segment_lock_);
    auto found = segments_.find(segment_id);
    return found == segments_.end() ? nullptr : found->second.desc;
}

std::shared_ptr<SegmentDesc> TransferMetadata::getSegmentDescByID(SegmentID segment_id,
                                                                  bool force_update) {
    std::string name;
    {
        std::shared_lock lock(segment_lock_);
        auto found = segments_.find(segment_id);
        if (found == segments_.end()) return nullptr;
        if (!force_update || segment_id == static_cast<SegmentID>(LOCAL_SEGMENT_ID)) {
            return found->second.desc;
        }
        name = found->second.name;
    }
    return fetchAndCache(name, &segment_id);
}

std::shared_ptr<SegmentDesc> TransferMetadata::getSegmentDescByName(const std::string& segment_name,
                                                                    bool force_update) {
    {
        std::shared_lock lock(segment_lock_);
        auto found = segment_ids_.find(segment_name);
        if (found != segment_ids_.end()) {
            const CachedSegment& segment = segments_.at(found->second);
            if (found->second == static_cast<SegmentID>(LOCAL_SEGMENT_ID) ||
                (!force_update && !segment.closed)) {
                return segment.desc;
            }
        }
    }
    SegmentID id = kInvalidSegmentID;
    return fetchAndCache(segment_name, &id);
}

TransferMetadata::SegmentID TransferMetadata::getSegmentID(const std::string& segment_name) {
    {
        std::shared_lock lock(segment_lock_);
        auto found = segment_ids_.find(segment_name);
        if (found != segment_ids_.end() && !segments_.at(found->second).closed) {
            return found->second;
        }
    }
    SegmentID id = kInvalidSegmentID;
    return fetchAndCache(segment_name, &id) ? id : kInvalidSegmentID;
}

std::shared_ptr<SegmentDesc> TransferMetadata::getSegmentDesc(const std::string& segment_name) {
    Status status = storage_ ? checkSegmentName(segment_name) : status_;
    if (!status.ok()) {
        LOG(ERROR) << "No segment descriptor is fetched: " << status.message();
        return nullptr;
    }
    std::string text;
    const auto result = storage_->get(keys_->segment(segment_name), &text);
    if (!result.ok()) {
        LOG(ERROR) << "The descriptor of segment '" << segment_name << "' "
                   << (result.outcome == Outcome::kNotFound
                           ? "is not in the metadata store; is its target running? "
                           : "cannot be fetched: ")
                   << result.error;
        return nullptr;
    }
    auto desc = std::make_shared<SegmentDesc>();
    status = decodeSegmentDesc(text, desc.get());
    if (!status.ok()) {
        LOG(ERROR) << "The descriptor of segment '" << segment_name
                   << "' is malformed: " << status.message();
        return nullptr;
    }
    return desc;
}

// *segment_id is the id whose entry is to be refreshed, or kInvalidSegmentID for one that may be
// new; it receives the entry's id. The entry may have come, gone or been refreshed while the store
// was asked.
std::shared_ptr<SegmentDesc> TransferMetadata::fetchAndCache(const std::string& segment_name,
                                                             SegmentID* segment_id) {
    const uint64_t fetch = fetch_count_.fetch_add(1, std::memory_order_relaxed) + 1;
    std::shared_ptr<SegmentDesc> desc = getSegmentDesc(segment_name);
    if (!desc) return nullptr;

    std::unique_lock lock(segment_lock_);
    auto known = segment_ids_.find(segment_name);
    if (known == segment_ids_.end()) {
        if (*segment_id != kInvalidSegmentID) return nullptr;  // removed meanwhile
        known = segment_ids_.emplace(segment_name, next_segment_id_++).first;
    }
    *segment_id = known->second;
    CachedSegment& segment = segments_[known->second];
    if (known->second == static_cast<SegmentID>(LOCAL_SEGMENT_ID) || segment.fetch > fetch) {
        return segment.desc;
    }
    segment = {desc, segment_name, fetch, false};
    return desc;
}

int TransferMetadata::closeSegment(SegmentID segment_id) {
    std::unique_lock lock(segment_lock_);
    auto found = segments_.find(segment_id);
    if (found == segments_.end()) return ERR_INVALID_ARGUMENT;
    found->second.closed = segment_id != static_cast<SegmentID>(LOCAL_SEGMENT_ID);
    return 0;
}

int TransferMetadata::syncSegmentCache(const std::string& segment_name) {
    std::vector<std::pair<SegmentID, std::string>> wanted;
    {
        std::shared_lock lock(segment_lock_);
        for (const auto& [id, segment] : segments_) {
            if (id == static_cast<SegmentID>(LOCAL_SEGMENT_ID)) continue;
            if (segment_name.empty() || segment.name == segment_name) {
                wanted.emplace_back(id, segment.name);
            }
        }
    }
    int result = 0;
    for (auto& [id, name] : wanted) {
        if (!fetchAndCache(name, &id)) result = ERR_METADATA;
    }
    return result;
}

int TransferMetadata::addLocalSegment(SegmentID segment_id, const std::string& segment_name,
                                      std::shared_ptr<SegmentDesc>&& desc) {
    const Status status = checkSegmentName(segment_name);
    if (!status.ok() || !desc || segment_id == kInvalidSegmentID) {
        LOG(ERROR) << "No local segment is added: "
                   << (status.ok() ? "there is no descriptor" : status.message());
        return ERR_INVALID_ARGUMENT;
    }
    // A copy of our own: the caller may be a plugin, and the code that frees its object is unloaded
    // with it.
    auto own = std::make_shared<SegmentDesc>(*desc);
    desc.reset();
    std::unique_lock lock(segment_lock_);
    // An id and a name belong together; whatever else either of them stood for goes.
    if (auto old = segments_.find(segment_id); old != segments_.end()) {
        segment_ids_.erase(old->second.name);
    }
    if (auto old = segment_ids_.find(segment_name); old != segment_ids_.end()) {
        segments_.erase(old->second);
    }
    segment_ids_[segment_name] = segment_id;
    segments_[segment_id] = {std::move(own), segment_name, 0, false};
    next_segment_id_ = std::max(next_segment_id_, segment_id + 1);
    return 0;
}

int TransferMetadata::removeLocalSegment(const std::string& segment_name) {
    std::unique_lock lock(segment_lock_);
    auto found = segment_ids_.find(segment_name);
    if (found != segment_ids_.end()) {
        segments_.erase(found->second);
        segment_ids_.erase(found);
    }
    return 0;
}

int TransferMetadata::updateLocalSegmentDesc(SegmentID segment_id) {
    std::lock_guard publishing(publish_mutex_);
    return publish(segment_id, true);
}

// With publish_mutex_ held: the state is taken under it, so what is published later is never older.
int TransferMetadata::publish(SegmentID segment_id, bool insist) {
    const std::shared_ptr<SegmentDesc> desc = localDesc(segment_id);
    if (!desc) {
        LOG(ERROR) << "Segment " << segment_id << " is not published: there is no such segment";
        return ERR_INVALID_ARGUMENT;
    }
    return publishDesc(desc->name, *desc, insist);
}

int TransferMetadata::updateSegmentDesc(const std::string& segment_name, const SegmentDesc& desc) {
    std::lock_guard publishing(publish_mutex_);
    return publishDesc(segment_name, desc, true);
}

// `insist`: whether what cannot be published now is to be, once the store answers again.
int TransferMetadata::publishDesc(const std::string& segment_name, const SegmentDesc& desc,
                                  bool insist) {
    Status status = storage_ ? checkSegmentName(segment_name) : status_;
    std::string text;
    // What is larger than this nobody could read.
    if (status.ok() && desc.file_buffers.size() > kMaxFileBuffers) {
        status = Status::InvalidArgument("it has " + std::to_string(desc.file_buffers.size()) +
                                         " files; at most " + std::to_string(kMaxFileBuffers) +
                                         " are allowed");
    }
    if (status.ok()) {
        text = encodeSegmentDesc(desc, getCurrentDateTime());
        if (text.size() > kMaxDescriptorBytes) {
            status = Status::InvalidArgument("it has " + std::to_string(text.size()) +
                                             " bytes; at most " +
                                             std::to_string(kMaxDescriptorBytes) + " are allowed");
        }
    }
    if (!status.ok()) {
        LOG(ERROR) << "The descriptor of segment '" << segment_name
                   << "' is not published: " << status.message();
        return ERR_METADATA;
    }
    const auto result = keeper_->set(keys_->segment(segment_name), text, insist);
    if (result.ok()) return 0;
    LOG(ERROR) << "The descriptor of segment '" << segment_name
               << "' is not published: " << result.error;
    return ERR_METADATA;
}

int TransferMetadata::removeKey(const std::string& key, const std::string& what) {
    if (!storage_) {
        LOG(ERROR) << what << " is not removed: " << status_.message();
        return ERR_METADATA;
    }
    const auto result = keeper_->remove(key);
    if (!result.ok() && result.outcome != Outcome::kNotFound) {
        LOG(ERROR) << what << " is not removed from the metadata store: " << result.error;
        return ERR_METADATA;
    }
    return 0;
}

int TransferMetadata::removeSegmentDesc(const std::string& segment_name) {
    const Status status = checkSegmentName(segment_name);
    if (!status.ok()) {
        LOG(ERROR) << "No segment descriptor is removed: " << status.message();
        return ERR_INVALID_ARGUMENT;
    }
    std::lock_guard publishing(publish_mutex_);
    return removeKey(keys_->segment(segment_name), "The descriptor of '" + segment_name + "'");
}

int TransferMetadata::removePublished() {
    std::lock_guard publishing(publish_mutex_);
    int result = 0;
    if (!keeper_) return result;
    for (const std::string& key : keeper_->keys()) {
        if (const int rc = removeKey(key, "The entry '" + key + "'"); rc != 0) result = rc;
    }
    return result;
}

// Readers hold descriptors without a lock, so a change replaces the local one. `change` gets a copy
// and returns 0, or an error that leaves the local segment as it is; it is called again if somebody
// else was faster.
template <typename Change>
int TransferMetadata::changeLocalDesc(const Change& change) {
    for (;;) {
        const std::shared_ptr<SegmentDesc> before = localDesc(LOCAL_SEGMENT_ID);
        if (!before) {
            LOG(ERROR) << "There is no local segment; no transport that serves files is installed";
            return ERR_INVALID_ARGUMENT;
        }
        auto after = std::make_shared<SegmentDesc>(*before);
        if (const int rc = change(after.get()); rc != 0) return rc;
        std::unique_lock lock(segment_lock_);
        auto local = segments_.find(LOCAL_SEGMENT_ID);
        if (local != segments_.end() && local->second.desc == before) {
            local->second.desc = std::move(after);
            return 0;
        }
    }
}

int TransferMetadata::addFileBuffer(const FileBufferDesc& buffer_desc, bool update_metadata) {
    if (buffer_desc.id == 0 || buffer_desc.path.find('\0') != std::string::npos) {
        LOG(ERROR) << "File buffer " << buffer_desc.id
                   << " is not added: its id is 0 or its path holds a zero byte";
        return ERR_INVALID_ARGUMENT;
    }
    // Over the publication too: it is taken back if that fails, and nobody must have published it
    // meanwhile.
    std::unique_lock publishing(publish_mutex_, std::defer_lock);
    if (update_metadata) publishing.lock();
    const auto sameId = [&](const FileBufferDesc& file) { return file.id == buffer_desc.id; };
    int rc = changeLocalDesc([&](SegmentDesc* desc) {
        if (std::any_of(desc->file_buffers.begin(), desc->file_buffers.end(), sameId)) {
            LOG(ERROR) << "File buffer " << buffer_desc.id << " is there already";
            return ERR_ADDRESS_OVERLAPPED;
        }
        desc->file_buffers.push_back(buffer_desc);
        return 0;
    });
    if (rc != 0 || !update_metadata) return rc;
    rc = publish(LOCAL_SEGMENT_ID, false);
    if (rc != 0) {
        changeLocalDesc([&](SegmentDesc* desc) {
            std::erase_if(desc->file_buffers, sameId);
            return 0;
        });
    }
    return rc;
}

int TransferMetadata::removeFileBuffer(FileBufferID id, bool update_metadata) {
    std::unique_lock publishing(publish_mutex_, std::defer_lock);
    if (update_metadata) publishing.lock();
    const int rc = changeLocalDesc([id](SegmentDesc* desc) {
        const auto removed = std::erase_if(
            desc->file_buffers, [id](const FileBufferDesc& file) { return file.id == id; });
        return removed == 0 ? ERR_ADDRESS_NOT_REGISTERED : 0;
    });
    if (rc != 0 || !update_metadata) return rc;
    return publish(LOCAL_SEGMENT_ID, true);
}

int TransferMetadata::addRpcMetaEntry(const std::string& server_name, RpcMetaDesc& desc) {
    Status status = storage_ ? checkServerName(server_name) : status_;
    if (!status.ok()) {
        LOG(ERROR) << "The address of this node is not published: " << status.message();
        return ERR_METADATA;
    }
    std::lock_guard publishing(publish_mutex_);
    auto result = storage_->listen(desc.ip_or_host_name, &desc.rpc_port);
    if (!result.ok()) {
        LOG(ERROR) << "No other node can ask this one: " << result.error;
        return ERR_SOCKET;
    }
    const std::string key = keys_->rpcMeta(server_name);
    const std::string text = encodeRpcMeta(desc);
    {
        std::unique_lock lock(segment_lock_);
        local_rpc_meta_ = desc;
    }
    result = keeper_->set(key, text, true);
    if (result.outcome == Outcome::kRefused) {
        // A store with write-once entries, and a predecessor that crashed. What it left may say
        // just the same.
        std::string stored;
        RpcMetaDesc found;
        if (storage_->get(key, &stored).ok() && decodeRpcMeta(stored, &found).ok() &&
            found.ip_or_host_name == desc.ip_or_host_name && found.rpc_port == desc.rpc_port) {
            // As the store has it: other engines order and space the members in other ways.
            keeper_->confirm(key, stored);
            return 0;
        }
        LOG(WARNING) << "Replacing what an earlier process left in the metadata store under '"
                     << key << "': " << result.error;
        const auto removed = storage_->remove(key);
        if (removed.ok() || removed.outcome == Outcome::kNotFound)
            result = keeper_->set(key, text, true);
    }
    if (result.ok()) return 0;
    LOG(ERROR) << "The address of this node is not published as '" << server_name
               << "': " << result.error;
    return ERR_METADATA;
}

int TransferMetadata::removeRpcMetaEntry(const std::string& server_name) {
    const Status status = checkServerName(server_name);
    if (!status.ok()) {
        LOG(ERROR) << "No address is removed: " << status.message();
        return ERR_INVALID_ARGUMENT;
    }
    std::lock_guard publishing(publish_mutex_);
    return removeKey(keys_->rpcMeta(server_name), "The address of '" + server_name + "'");
}

int TransferMetadata::getRpcMetaEntry(const std::string& server_name, RpcMetaDesc& desc) {
    Status status = storage_ ? checkServerName(server_name) : status_;
    if (status.ok()) {
        std::string text;
        const auto result = storage_->get(keys_->rpcMeta(server_name), &text);
        status = result.ok() ? decodeRpcMeta(text, &desc) : Status::Metadata(result.error);
    }
    if (status.ok()) return 0;
    LOG(ERROR) << "The address of node '" << server_name << "' is not known: " << status.message();
    return ERR_METADATA;
}

TransferMetadata::RpcMetaDesc TransferMetadata::localRpcMeta() const {
    std::shared_lock lock(segment_lock_);
    return local_rpc_meta_;
}

}  // namespace mooncake
