// SPDX-License-Identifier: Apache-2.0
#include "transfer_metadata.h"

#include <algorithm>
#include <cstdlib>
#include <unordered_set>
#include <utility>

#include "file_numbers.h"
#include "incarnation.h"
#include "log_pace.h"
#include "metadata_codec.h"
#include "metadata_keys.h"
#include "metadata_storage.h"
#include "record_keeper.h"
#include "transport/nvmeof_generic_transport/common/this_process.h"

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

// Of the calling thread.
thread_local TransferMetadata::Gathering* innermost_gathering = nullptr;

}  // namespace

TransferMetadata::TransferMetadata(const std::string& conn_string)
    : process_(nvmeof_generic::thisProcess()),
      incarnation_(newIncarnation()),
      keys_(makeKeys(&status_)),
      lookups_(std::make_unique<NamedLogPace>()) {
    if (status_.ok()) status_ = createMetadataStorage(conn_string, StoreLimits(), &storage_);
    if (!status_.ok()) {
        LOG(ERROR) << "No metadata store: " << status_.message();
        return;
    }
    keeper_ =
        std::make_unique<RecordKeeper>(storage_, kCheckInterval, &publish_mutex_, incarnation_);
}

TransferMetadata::TransferMetadata(std::shared_ptr<MetadataStorage> storage,
                                   std::chrono::milliseconds check_interval)
    : process_(nvmeof_generic::thisProcess()),
      incarnation_(newIncarnation()),
      storage_(std::move(storage)),
      keys_(makeKeys(&status_)),
      lookups_(std::make_unique<NamedLogPace>()) {
    if (!status_.ok()) {
        storage_.reset();
        LOG(ERROR) << "No metadata store: " << status_.message();
        return;
    }
    keeper_ =
        std::make_unique<RecordKeeper>(storage_, check_interval, &publish_mutex_, incarnation_);
}

TransferMetadata::~TransferMetadata() {
    if (!inherited()) return;
    // Copies of what is the parent's, whose threads are not here.
    static_cast<void>(keeper_.release());
    static_cast<void>(new std::shared_ptr<MetadataStorage>(std::move(storage_)));
}

bool TransferMetadata::inherited() const {
    return process_ != nvmeof_generic::thisProcess();
}

std::shared_ptr<SegmentDesc> TransferMetadata::localDesc(SegmentID segment_id) const {
    std::shared_lock lock(segment_lock_);
    auto found = segments_.find(segment_id);
    return found == segments_.end() ? nullptr : found->second.desc;
}

std::shared_ptr<SegmentDesc> TransferMetadata::getSegmentDescByID(SegmentID segment_id,
                                                                  bool force_update) {
    if (inherited()) return nullptr;
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
    if (inherited()) return nullptr;
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
    if (inherited()) return kInvalidSegmentID;
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
    if (inherited()) return nullptr;
    Status status = storage_ ? checkSegmentName(segment_name) : status_;
    if (!status.ok()) {
        LOG(ERROR) << "No segment descriptor is fetched: " << status.message();
        return nullptr;
    }
    // Who waits for a node that is away asks all the time.
    const auto complain = [&](const std::string& what) {
        if (const auto left_out = lookups_->admit(segment_name)) {
            LOG(ERROR) << "The descriptor of segment '" << segment_name << what
                       << leftOutText(*left_out);
        }
    };
    std::string text;
    const auto result = storage_->get(keys_->segment(segment_name), &text);
    if (!result.ok()) {
        complain((result.outcome == Outcome::kNotFound
                      ? "' is not in the metadata store; is its target running? "
                      : "' cannot be fetched: ") +
                 result.error);
        return nullptr;
    }
    auto desc = std::make_shared<SegmentDesc>();
    status = decodeSegmentDesc(text, desc.get());
    if (!status.ok()) {
        complain("' is malformed: " + std::string(status.message()));
        return nullptr;
    }
    numberFiles(segment_name, desc.get());
    return desc;
}

void TransferMetadata::numberFiles(const std::string& segment_name, SegmentDesc* desc) {
    {
        // Its own files a node knows by the numbers that it gave them.
        std::shared_lock lock(segment_lock_);
        const auto known = segment_ids_.find(segment_name);
        const auto local = static_cast<SegmentID>(LOCAL_SEGMENT_ID);
        if (known != segment_ids_.end() && known->second == local) return;
    }
    std::lock_guard lock(numbers_mutex_);
    auto& numbers = numbers_[segment_name];
    if (!numbers) numbers = std::make_unique<FileNumbers>();
    numbers->assign(&desc->file_buffers);
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
    if (segment.desc && segment.desc->protocol != desc->protocol) ++route_version_;
    segment = {desc, segment_name, fetch, false};
    return desc;
}

int TransferMetadata::closeSegment(SegmentID segment_id) {
    if (inherited()) return ERR_INVALID_ARGUMENT;
    std::unique_lock lock(segment_lock_);
    auto found = segments_.find(segment_id);
    if (found == segments_.end()) return ERR_INVALID_ARGUMENT;
    found->second.closed = segment_id != static_cast<SegmentID>(LOCAL_SEGMENT_ID);
    return 0;
}

int TransferMetadata::syncSegmentCache(const std::string& segment_name) {
    if (inherited()) return ERR_METADATA;
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
    if (inherited()) return ERR_INVALID_ARGUMENT;
    const Status status = checkSegmentName(segment_name);
    if (!status.ok() || !desc || segment_id == kInvalidSegmentID) {
        LOG(ERROR) << "No local segment is added: "
                   << (status.ok() ? "there is no descriptor" : status.message());
        return ERR_INVALID_ARGUMENT;
    }
    // A copy of our own: the caller may be a plugin, and the code that frees its object is unloaded
    // with it.
    auto own = std::make_shared<SegmentDesc>(*desc);
    own->incarnation = incarnation_;
    desc.reset();
    std::unique_lock lock(segment_lock_);
    ++changes_;
    ++route_version_;
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
    if (inherited()) return ERR_INVALID_ARGUMENT;
    std::unique_lock lock(segment_lock_);
    auto found = segment_ids_.find(segment_name);
    if (found != segment_ids_.end()) {
        ++route_version_;
        segments_.erase(found->second);
        segment_ids_.erase(found);
    }
    return 0;
}

int TransferMetadata::updateLocalSegmentDesc(SegmentID segment_id) {
    if (inherited()) return ERR_METADATA;
    if (Gathering* const mine = gathering(); mine && segment_id == LOCAL_SEGMENT_ID) {
        if (!localDesc(segment_id)) return ERR_INVALID_ARGUMENT;
        mine->changed_ = true;
        return 0;
    }
    std::lock_guard publishing(publish_mutex_);
    return publish(segment_id, true);
}

// With publish_mutex_ held: the state is taken under it, so what is published later is never older.
int TransferMetadata::publish(SegmentID segment_id, bool insist) {
    std::shared_ptr<SegmentDesc> desc;
    uint64_t changes = 0;
    {
        std::shared_lock lock(segment_lock_);
        const auto found = segments_.find(segment_id);
        if (found != segments_.end()) desc = found->second.desc;
        changes = changes_;
    }
    if (!desc) {
        LOG(ERROR) << "Segment " << segment_id << " is not published: there is no such segment";
        return ERR_INVALID_ARGUMENT;
    }
    const int rc = publishDesc(desc->name, *desc, insist);
    if (rc == 0 && segment_id == static_cast<SegmentID>(LOCAL_SEGMENT_ID)) published_ = changes;
    return rc;
}

TransferMetadata::Publications TransferMetadata::publications() const {
    const auto desc = localDesc(LOCAL_SEGMENT_ID);
    return desc && keeper_ && keys_ ? keeper_->publications(keys_->segment(desc->name))
                                    : Publications{};
}

// With publish_mutex_ held. Another thread may have published this change with its own.
int TransferMetadata::publishUpTo(uint64_t change, bool insist) {
    return published_ >= change ? 0 : publish(LOCAL_SEGMENT_ID, insist);
}

int TransferMetadata::updateSegmentDesc(const std::string& segment_name, const SegmentDesc& desc) {
    if (inherited()) return ERR_METADATA;
    SegmentDesc own = desc;
    own.incarnation = incarnation_;
    std::lock_guard publishing(publish_mutex_);
    return publishDesc(segment_name, own, true);
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
        text = encodeSegmentDesc(desc, publicationTime());
        if (text.size() > kMaxDescriptorBytes) {
            status = Status::InvalidArgument("it has " + std::to_string(text.size()) +
                                             " bytes; at most " +
                                             std::to_string(kMaxDescriptorBytes) + " are allowed");
        }
    }
    refused_ = !status.ok();
    if (refused_) {
        LOG(ERROR) << "The descriptor of segment '" << segment_name
                   << "' is not published: " << status.message();
        if (keeper_ && keys_) keeper_->noteRefused(keys_->segment(segment_name));
        return ERR_METADATA;
    }
    const auto result = keeper_->set(keys_->segment(segment_name), text, insist);
    if (result.ok()) return 0;
    refused_ = result.outcome != Outcome::kFailed;
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
    if (!result.ok()) {
        LOG(ERROR) << what << " is not removed from the metadata store: " << result.error;
        return ERR_METADATA;
    }
    return 0;
}

int TransferMetadata::removeSegmentDesc(const std::string& segment_name) {
    if (inherited()) return ERR_METADATA;
    const Status status = checkSegmentName(segment_name);
    if (!status.ok()) {
        LOG(ERROR) << "No segment descriptor is removed: " << status.message();
        return ERR_INVALID_ARGUMENT;
    }
    std::lock_guard publishing(publish_mutex_);
    return removeKey(keys_->segment(segment_name), "The descriptor of '" + segment_name + "'");
}

int TransferMetadata::removePublished() {
    if (inherited()) return ERR_METADATA;
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
// else was faster. *number receives which change of the local segment it was.
template <typename Change>
int TransferMetadata::changeLocalDesc(const Change& change, uint64_t* number) {
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
            ++changes_;
            if (number != nullptr) *number = changes_;
            return 0;
        }
    }
}

int TransferMetadata::addFileBuffer(const FileBufferDesc& buffer_desc, bool update_metadata) {
    if (inherited()) return ERR_METADATA;
    if (buffer_desc.id == 0 || buffer_desc.path.find('\0') != std::string::npos) {
        LOG(ERROR) << "File buffer " << buffer_desc.id
                   << " is not added: its id is 0 or its path holds a zero byte";
        return ERR_INVALID_ARGUMENT;
    }
    const auto sameId = [&](const FileBufferDesc& file) { return file.id == buffer_desc.id; };
    const auto add = [&](SegmentDesc* desc) {
        if (std::any_of(desc->file_buffers.begin(), desc->file_buffers.end(), sameId)) {
            LOG(ERROR) << "File buffer " << buffer_desc.id << " is there already";
            return ERR_ADDRESS_OVERLAPPED;
        }
        desc->file_buffers.push_back(buffer_desc);
        return 0;
    };
    uint64_t change = 0;
    int rc = changeLocalDesc(add, &change);
    if (rc != 0 || !update_metadata) return rc;
    if (Gathering* const mine = gathering()) {
        mine->added_.push_back(buffer_desc);
        mine->changed_ = true;
        return 0;
    }
    // Threads that come here together are served by one publication. Where it fails each takes its
    // own file back before the next one publishes.
    std::lock_guard publishing(publish_mutex_);
    rc = publishUpTo(change, false);
    if (rc != 0) takeBack({buffer_desc});
    return rc;
}

void TransferMetadata::takeBack(const std::vector<FileBufferDesc>& files) {
    std::unordered_set<FileBufferID> ids;
    for (const FileBufferDesc& file : files) ids.insert(file.id);
    changeLocalDesc([&](SegmentDesc* desc) {
        std::erase_if(desc->file_buffers,
                      [&](const FileBufferDesc& file) { return ids.count(file.id) != 0; });
        return 0;
    });
}

int TransferMetadata::removeFileBuffer(FileBufferID id, bool update_metadata) {
    return removeFileBuffers({id}, update_metadata);
}

int TransferMetadata::removeFileBuffers(const std::vector<FileBufferID>& ids,
                                        bool update_metadata) {
    if (inherited()) return ERR_METADATA;
    const std::unordered_set<FileBufferID> gone(ids.begin(), ids.end());
    const auto isGone = [&](const FileBufferDesc& file) { return gone.count(file.id) != 0; };
    uint64_t change = 0;
    const auto take = [&](SegmentDesc* desc) {
        return std::erase_if(desc->file_buffers, isGone) == 0 ? ERR_ADDRESS_NOT_REGISTERED : 0;
    };
    const int rc = changeLocalDesc(take, &change);
    if (rc != 0 || !update_metadata) return rc;
    if (Gathering* const mine = gathering()) {
        std::erase_if(mine->added_, isGone);
        mine->changed_ = true;
        return 0;
    }
    std::lock_guard publishing(publish_mutex_);
    return publishUpTo(change, true);
}

TransferMetadata::Gathering* TransferMetadata::gathering() {
    for (Gathering* one = innermost_gathering; one != nullptr; one = one->outer_) {
        if (&one->metadata_ == this && one->open_) return one;
    }
    return nullptr;
}

TransferMetadata::Gathering::Gathering(TransferMetadata& metadata)
    : metadata_(metadata), outer_(innermost_gathering) {
    innermost_gathering = this;
}

TransferMetadata::Gathering::~Gathering() {
    std::vector<FileBufferID> refused;
    publish(&refused);
    innermost_gathering = outer_;
}

int TransferMetadata::Gathering::publish(std::vector<FileBufferID>* refused) {
    refused->clear();
    if (!open_) return 0;
    open_ = false;
    return changed_ ? metadata_.publishGathered(added_, refused) : 0;
}

// What the store does not take as a whole it is given file by file.
int TransferMetadata::publishGathered(const std::vector<FileBufferDesc>& added,
                                      std::vector<FileBufferID>* refused) {
    if (inherited()) return ERR_METADATA;
    {
        std::lock_guard publishing(publish_mutex_);
        const int rc = publish(LOCAL_SEGMENT_ID, true);
        if (rc == 0 || !refused_) return rc;
        takeBack(added);
    }
    for (const FileBufferDesc& file : added) {
        if (addFileBuffer(file, true) != 0) refused->push_back(file.id);
    }
    // What is published again later is what there is now.
    std::lock_guard publishing(publish_mutex_);
    return refused->empty() && !added.empty() ? 0 : publish(LOCAL_SEGMENT_ID, true);
}

int TransferMetadata::addRpcMetaEntry(const std::string& server_name, RpcMetaDesc& desc,
                                      NameInUse name_in_use) {
    if (inherited()) return ERR_METADATA;
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
    RpcMetaDesc own = desc;
    own.incarnation = incarnation_;
    {
        std::unique_lock lock(segment_lock_);
        local_rpc_meta_ = desc;
    }
    keeper_->takeOver(name_in_use == NameInUse::kTakeOver);
    result = keeper_->set(key, encodeRpcMeta(own), true);
    if (result.ok()) return 0;
    LOG(ERROR) << "The address of this node is not published as '" << server_name
               << "': " << result.error;
    return result.outcome == Outcome::kConflict ? ERR_ADDRESS_OVERLAPPED : ERR_METADATA;
}

int TransferMetadata::removeRpcMetaEntry(const std::string& server_name) {
    if (inherited()) return ERR_METADATA;
    const Status status = checkServerName(server_name);
    if (!status.ok()) {
        LOG(ERROR) << "No address is removed: " << status.message();
        return ERR_INVALID_ARGUMENT;
    }
    std::lock_guard publishing(publish_mutex_);
    return removeKey(keys_->rpcMeta(server_name), "The address of '" + server_name + "'");
}

int TransferMetadata::getRpcMetaEntry(const std::string& server_name, RpcMetaDesc& desc) {
    if (inherited()) return ERR_METADATA;
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
    if (inherited()) return {};
    std::shared_lock lock(segment_lock_);
    return local_rpc_meta_;
}

}  // namespace mooncake
