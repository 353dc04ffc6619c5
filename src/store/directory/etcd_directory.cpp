// SPDX-License-Identifier: Apache-2.0
#include "etcd_directory.h"

#include <glog/logging.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "bytes.h"
#include "entry_codec.h"
#include "etcd_watch.h"
#include "random_id.h"
#include "refusals.h"
#include "stale_entry.h"

namespace mooncake::store {

namespace {

using std::chrono::steady_clock;

// etcd's own limit is 128, of what a transaction and the largest of those in it have together.
constexpr size_t kOperations = 120;
constexpr size_t kRegionsOfATransaction = 100;
// etcd's own limit of a request is 1.5 MiB.
constexpr size_t kRequestBytes = 1200000;
constexpr size_t kGroup = 8 * kOperations;
constexpr int64_t kRegionsOfAPage = 5000;
// The server's clock and this one may run at different rates.
constexpr auto kLeaseMargin = std::chrono::milliseconds(300);
constexpr char kVersion = 1;

int64_t seconds(std::chrono::milliseconds time) {
    return std::chrono::ceil<std::chrono::seconds>(time).count();
}

Error damagedRecord(const std::string& what) {
    return {Failure::kDamaged, "the directory's record of " + what +
                                   " is damaged, or of another version; make the directory again "
                                   "from the store's files"};
}

Error tooLate(const std::string& what) {
    return {Failure::kTimeout,
            what + ": others change it all the time, and this call's time is up"};
}

bool isLate(Deadline deadline) {
    return steady_clock::now() >= deadline;
}

std::string numberText(uint64_t number) {
    std::string bytes;
    putVarint(&bytes, number);
    return bytes;
}

std::optional<uint64_t> numberOf(const rpc::KeyValue* value) {
    uint64_t number = 0;
    if (value == nullptr) return number;
    ByteReader reader(value->value());
    if (!reader.varint(&number) || reader.left() != 0) return std::nullopt;
    return number;
}

int64_t revisionOf(const rpc::KeyValue* value) {
    return value == nullptr ? 0 : value->mod_revision();
}

}  // namespace

struct EtcdDirectory::Pending {
    const Change* change;
    size_t index;  // among the outcomes
    std::string key;
    std::string entry;
    std::vector<RegionId> regions;
    int64_t replaces = 0;    // the revision of an entry that nobody can read
    std::string there = {};  // the entry that was found
    int64_t revision = 0;    // its revision
};

EtcdDirectory::EtcdDirectory(std::unique_ptr<EtcdCluster> cluster, const std::string& store,
                             const DirectoryOptions& options, std::unique_ptr<Counters> counters)
    : counters_(std::move(counters)),
      cluster_(std::move(cluster)),
      keys_(store),
      options_(options),
      group_(kGroup, [this](const auto& changes,
                            Deadline deadline) { return runGroup(changes, deadline); }),
      keeper_(options.lease, counters_.get(),
              [this](ClientId client, Deadline deadline) { return renew(client, deadline); }) {}

EtcdDirectory::~EtcdDirectory() {
    (void)leave(steady_clock::now() + std::chrono::seconds(1));
}

Result<std::unique_ptr<EtcdDirectory>> EtcdDirectory::open(const std::string& servers,
                                                           const std::string& store,
                                                           const DirectoryOptions& options,
                                                           Deadline deadline) {
    auto counters = std::make_unique<Counters>();
    auto cluster = EtcdCluster::create(servers, options.attempt, counters.get());
    if (!cluster) return tl::unexpected<Error>(cluster.error());
    std::unique_ptr<EtcdDirectory> directory(
        new EtcdDirectory(std::move(*cluster), store, options, std::move(counters)));
    const std::string key = directory->keys_.id();
    std::string value(1, kVersion);
    const Uuid fresh = Uuid::random();
    value.append(reinterpret_cast<const char*>(fresh.bytes.data()), fresh.bytes.size());
    rpc::TxnRequest request;
    ifAbsent(&request, key);
    addPut(&request, key, value);
    addGetElse(&request, key);
    const auto response = directory->cluster_->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    if (!response->succeeded()) {
        const rpc::KeyValue* there = found(*response, 0);
        value = there == nullptr ? "" : there->value();
    }
    if (value.size() != 1 + fresh.bytes.size() || value.front() != kVersion) {
        return failed(Failure::kUnsupported,
                      "the directory of the store '" + store +
                          "' on etcd is of another version; use the library that made it, or make "
                          "the directory again from the store's files");
    }
    std::copy(value.begin() + 1, value.end(), directory->id_.bytes.begin());
    return directory;
}

// --- Clients

Result<ClientId> EtcdDirectory::join(const std::string& node, Deadline deadline) {
    if (auto left = leave(deadline); !left) return tl::unexpected<Error>(left.error());
    const ClientId client = randomId();
    const auto before = BootClock::now();
    const auto granted =
        cluster_->grantLease(static_cast<int64_t>(client), seconds(options_.lease), deadline);
    if (!granted) return tl::unexpected<Error>(granted.error());
    rpc::TxnRequest request;
    addPut(&request, keys_.client(client), node, static_cast<int64_t>(client));
    const auto response = cluster_->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    keeper_.start(client, before + std::chrono::seconds(*granted) - kLeaseMargin);
    return client;
}

Result<> EtcdDirectory::leave(Deadline deadline) {
    const ClientId client = keeper_.stop();
    {
        const std::lock_guard lock(mutex_);
        owned_.clear();
    }
    if (client == 0) return {};
    return cluster_->revokeLease(static_cast<int64_t>(client), deadline);
}

Result<BootClock::time_point> EtcdDirectory::renew(ClientId client, Deadline deadline) {
    const auto before = BootClock::now();
    const auto left = cluster_->keepAlive(static_cast<int64_t>(client), deadline);
    if (!left) return tl::unexpected<Error>(left.error());
    if (*left <= 0) {
        return failed(Failure::kLeaseLost,
                      "client " + std::to_string(client) +
                          " was silent for longer than its lease and is none any more; it has to "
                          "join again");
    }
    return before + std::chrono::seconds(*left) - kLeaseMargin;
}

Result<ClientId> EtcdDirectory::self() const {
    const ClientId client = keeper_.lease().client;
    if (client != 0) return client;
    return notJoined();
}

Result<std::vector<ClientInfo>> EtcdDirectory::clients(Deadline deadline) {
    rpc::TxnRequest request;
    addList(&request, keys_.clients());
    const auto response = cluster_->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    std::vector<ClientInfo> found;
    for (const rpc::KeyValue& one : response->responses(0).response_range().kvs()) {
        const std::string id = one.key().substr(keys_.clients().size());
        found.push_back({std::strtoull(id.c_str(), nullptr, 10), one.value()});
    }
    return found;
}

// --- Files

Result<EtcdDirectory::State> EtcdDirectory::readState(Deadline deadline) {
    rpc::TxnRequest request;
    addList(&request, keys_.files());
    addList(&request, keys_.mounts());
    const auto response = cluster_->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    State state;
    state.revision = response->header().revision();
    for (const rpc::KeyValue& one : response->responses(0).response_range().kvs()) {
        const auto number = EtcdKeys::numberAt(one.key());
        const auto record = decodeFile(one.value());
        if (!number || !record) {
            LOG(ERROR) << damagedRecord("a file").message;
            continue;
        }
        state.files[*number] = {*number, record->description, record->state, std::nullopt};
    }
    for (const rpc::KeyValue& one : response->responses(1).response_range().kvs()) {
        const auto number = EtcdKeys::numberAt(one.key());
        const auto file = number ? state.files.find(*number) : state.files.end();
        if (file != state.files.end()) file->second.mount = decodeMount(one.value());
    }
    return state;
}

Result<std::vector<FileInfo>> EtcdDirectory::files(Deadline deadline) {
    const auto state = readState(deadline);
    if (!state) return tl::unexpected<Error>(state.error());
    std::vector<FileInfo> all;
    for (const auto& [number, file] : state->files) all.push_back(file);
    return all;
}

Result<FileInfo> EtcdDirectory::addFile(const FileDescription& description, Deadline deadline) {
    if (auto checked = checkDescription(description); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    const std::string by_uuid = keys_.number(description.uuid), next = keys_.nextNumber();
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, by_uuid);
        addGet(&look, next);
        const auto seen = cluster_->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        if (const rpc::KeyValue* known = found(*seen, 0)) {
            const auto number = numberOf(known);
            const auto state = readState(deadline);
            if (!state) return tl::unexpected<Error>(state.error());
            const auto file =
                number ? state->files.find(static_cast<FileNumber>(*number)) : state->files.end();
            if (file == state->files.end()) {
                return tl::unexpected<Error>(damagedRecord("a file"));
            }
            // Given up in between: then it gets a new number.
            if (file->second.state != FileState::kActive) continue;
            if (file->second.description != description) return otherDescription(file->second);
            return file->second;
        }
        const auto last = numberOf(found(*seen, 1));
        if (!last) return tl::unexpected<Error>(damagedRecord("file numbers"));
        const auto number = static_cast<FileNumber>(*last + 1);
        rpc::TxnRequest add;
        ifAbsent(&add, by_uuid);
        ifRevision(&add, next, revisionOf(found(*seen, 1)));
        addPut(&add, by_uuid, numberText(number));
        addPut(&add, next, numberText(number));
        addPut(&add, keys_.file(number), encodeFile({description, FileState::kActive}));
        const auto added = cluster_->transact(add, deadline);
        if (!added) return tl::unexpected<Error>(added.error());
        if (added->succeeded()) return FileInfo{number, description, FileState::kActive, {}};
    }
    return tl::unexpected<Error>(tooLate("a file's number"));
}

Result<> EtcdDirectory::mountFile(FileNumber file, const Mount& mount, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    Mount own = mount;
    own.client = *client;
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, keys_.file(file));
        addGet(&look, keys_.mount(file));
        addGet(&look, keys_.client(*client));
        const auto seen = cluster_->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto record = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (!record || record->state != FileState::kActive) return noSuchFile(file);
        const rpc::KeyValue* mounted = found(*seen, 1);
        const auto other = mounted == nullptr ? std::nullopt : decodeMount(mounted->value());
        if (other && other->client != *client) {
            return mountedElsewhere({file, record->description, record->state, other});
        }
        if (found(*seen, 2) == nullptr) return leaseLost(*client);
        rpc::TxnRequest request;
        ifRevision(&request, keys_.file(file), revisionOf(known));
        ifRevision(&request, keys_.mount(file), revisionOf(mounted));
        ifThere(&request, keys_.client(*client));
        addPut(&request, keys_.mount(file), encodeMount(own), static_cast<int64_t>(*client));
        const auto done = cluster_->transact(request, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        if (done->succeeded()) return {};
    }
    return tl::unexpected<Error>(tooLate("file " + std::to_string(file)));
}

Result<> EtcdDirectory::unmountFile(FileNumber file, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    rpc::TxnRequest request;
    ifLease(&request, keys_.mount(file), static_cast<int64_t>(*client));
    addDelete(&request, keys_.mount(file));
    const auto done = cluster_->transact(request, deadline);
    if (!done) return tl::unexpected<Error>(done.error());
    return {};
}

Result<> EtcdDirectory::giveUpFile(FileNumber file, Deadline deadline) {
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, keys_.file(file));
        addGet(&look, keys_.mount(file));
        const auto seen = cluster_->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto record = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (!record) return noSuchFile(file);
        if (const rpc::KeyValue* mounted = found(*seen, 1)) {
            const auto mount = decodeMount(mounted->value());
            return mountedElsewhere(
                {file, record->description, record->state, mount ? *mount : Mount()});
        }
        if (record->state == FileState::kGivenUp) return {};
        rpc::TxnRequest request;
        ifRevision(&request, keys_.file(file), revisionOf(known));
        ifAbsent(&request, keys_.mount(file));
        addPut(&request, keys_.file(file), encodeFile({record->description, FileState::kGivenUp}));
        addDelete(&request, keys_.number(record->description.uuid));
        addDelete(&request, keys_.untouched(file));
        // Nobody takes one of them again.
        for (const std::string& prefix :
             {keys_.regions(file), keys_.cleanOnes(file), keys_.touches(file)}) {
            addDeletePrefix(&request, prefix);
        }
        const auto done = cluster_->transact(request, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        if (done->succeeded()) return {};
    }
    return tl::unexpected<Error>(tooLate("file " + std::to_string(file)));
}

Result<std::vector<FreeRegions>> EtcdDirectory::freeRegions(Deadline deadline) {
    const auto state = readState(deadline);
    if (!state) return tl::unexpected<Error>(state.error());
    std::vector<const FileInfo*> files;
    std::vector<rpc::TxnRequest> requests;
    for (const auto& [number, file] : state->files) {
        if (file.state != FileState::kActive) continue;
        if (files.size() % (kOperations / 2) == 0) requests.emplace_back();
        files.push_back(&file);
        addGet(&requests.back(), keys_.untouched(number));
        addList(&requests.back(), keys_.cleanOnes(number))->set_count_only(true);
    }
    const auto responses = cluster_->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    std::vector<FreeRegions> free;
    for (size_t i = 0; i < files.size(); ++i) {
        const rpc::TxnResponse& response = (*responses)[i / (kOperations / 2)];
        const int at = static_cast<int>(i % (kOperations / 2)) * 2;
        const auto taken = numberOf(found(response, at));
        const int64_t clean = response.responses(at + 1).response_range().count();
        free.push_back({files[i]->number,
                        static_cast<uint32_t>(files[i]->description.regions - taken.value_or(0) +
                                              static_cast<uint64_t>(clean))});
    }
    return free;
}

// --- Regions

void EtcdDirectory::own(RegionId region, const RegionRecord& record) {
    const std::lock_guard lock(mutex_);
    owned_[region] = encodeRegion(record);
}

void EtcdDirectory::disown(RegionId region) {
    const std::lock_guard lock(mutex_);
    owned_.erase(region);
}

Result<Region> EtcdDirectory::takeRegion(FileNumber file, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    RegionRecord record{RegionState::kOpen, 1, *client, randomId(), {}};
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, keys_.file(file));
        addGet(&look, keys_.untouched(file));
        addList(&look, keys_.cleanOnes(file))->set_limit(8);
        const auto seen = cluster_->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto info = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (!info || info->state != FileState::kActive) return noSuchFile(file);
        const auto taken = numberOf(found(*seen, 1));
        const auto& clean = seen->responses(2).response_range().kvs();

        RegionId id{file, 0};
        rpc::TxnRequest take;
        ifThere(&take, keys_.client(*client));
        ifRevision(&take, keys_.file(file), revisionOf(known));
        if (!clean.empty()) {
            // Several clients that look at once do not all want the same one.
            const rpc::KeyValue& one =
                clean.Get(static_cast<int>(randomId() % static_cast<uint64_t>(clean.size())));
            const auto index = EtcdKeys::numberAt(one.key());
            const auto generation = numberOf(&one);
            if (!index || !generation) {
                return tl::unexpected<Error>(damagedRecord("a clean region"));
            }
            id.index = *index;
            record.generation = *generation;
            ifRevision(&take, one.key(), one.mod_revision());
            addDelete(&take, one.key());
        } else {
            if (!taken) return tl::unexpected<Error>(damagedRecord("a file's regions"));
            if (*taken >= info->description.regions) return noCleanRegion(file);
            id.index = static_cast<RegionIndex>(*taken);
            record.generation = 1;
            ifRevision(&take, keys_.untouched(file), revisionOf(found(*seen, 1)));
            ifAbsent(&take, keys_.region(id));
            addPut(&take, keys_.untouched(file), numberText(*taken + 1));
        }
        addPut(&take, keys_.region(id), encodeRegion(record));
        addGetElse(&take, keys_.region(id));
        addGetElse(&take, keys_.client(*client));
        addGetElse(&take, keys_.untouched(file));
        const auto done = cluster_->transact(take, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        const rpc::KeyValue* there = done->succeeded() ? nullptr : found(*done, 0);
        // The token is this call's: an earlier try has taken it, and its answer was lost.
        if (done->succeeded() || (there != nullptr && there->value() == encodeRegion(record))) {
            own(id, record);
            const int64_t revision =
                there != nullptr ? there->mod_revision() : done->header().revision();
            return record.with(id, static_cast<uint64_t>(revision));
        }
        if (found(*done, 1) == nullptr) return leaseLost(*client);
        // It was adopted: it lies before the mark, and is not to be looked at again.
        if (there != nullptr && clean.empty() &&
            revisionOf(found(*done, 2)) == revisionOf(found(*seen, 1))) {
            rpc::TxnRequest skip;
            ifRevision(&skip, keys_.untouched(file), revisionOf(found(*seen, 1)));
            addPut(&skip, keys_.untouched(file), numberText(*taken + 1));
            const auto skipped = cluster_->transact(skip, deadline);
            if (!skipped) return tl::unexpected<Error>(skipped.error());
        }
    }
    return tl::unexpected<Error>(tooLate("file " + std::to_string(file)));
}

template <class Rule>
Result<Region> EtcdDirectory::moveRegion(RegionId region, Deadline deadline, const Rule& rule) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    const std::string key = keys_.region(region);
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, keys_.file(region.file));
        addGet(&look, key);
        addGet(&look, keys_.client(*client));
        const auto seen = cluster_->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto info = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (found(*seen, 2) == nullptr) return leaseLost(*client);
        if (!info || info->state != FileState::kActive ||
            region.index >= info->description.regions) {
            return noSuchRegion(region);
        }
        const rpc::KeyValue* there = found(*seen, 1);
        std::optional<RegionRecord> now;
        if (there != nullptr) {
            now = decodeRegion(there->value());
            if (!now) return tl::unexpected<Error>(damagedRecord("region " + toString(region)));
        }
        bool owner_lives = now && now->owner == *client;
        const bool ask = now && now->owner != 0 && !owner_lives;
        if (ask) {
            rpc::TxnRequest question;
            addGet(&question, keys_.client(now->owner));
            const auto answer = cluster_->transact(question, deadline);
            if (!answer) return tl::unexpected<Error>(answer.error());
            owner_lives = found(*answer, 0) != nullptr;
        }
        const NextRegion next = rule(now, *client, owner_lives);
        if (!next) return tl::unexpected<Error>(next.error());
        const auto arrived = [&](const RegionRecord& record, int64_t revision) {
            if (record.state == RegionState::kOpen) {
                own(region, record);
            } else {
                disown(region);
            }
            return record.with(region, static_cast<uint64_t>(revision));
        };
        if (!*next) return arrived(*now, revisionOf(there));
        rpc::TxnRequest move;
        ifThere(&move, keys_.client(*client));
        ifRevision(&move, keys_.file(region.file), revisionOf(known));
        ifRevision(&move, key, revisionOf(there));
        if (ask && !owner_lives) ifAbsent(&move, keys_.client(now->owner));
        addPut(&move, key, encodeRegion(**next));
        if ((*next)->state == RegionState::kClean) {
            addPut(&move, keys_.clean(region), numberText((*next)->generation));
        }
        const auto done = cluster_->transact(move, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        if (done->succeeded()) return arrived(**next, done->header().revision());
    }
    return tl::unexpected<Error>(tooLate("region " + toString(region)));
}

Result<Region> EtcdDirectory::adoptRegion(RegionId region, Generation generation,
                                          Deadline deadline) {
    const uint64_t token = randomId();
    return moveRegion(region, deadline, [&](const auto& now, ClientId client, bool) {
        return adoptedRegion(region, now, generation, client, token);
    });
}

Result<> EtcdDirectory::sealRegion(RegionId region, Generation generation, RegionUse use,
                                   Deadline deadline) {
    const auto moved =
        moveRegion(region, deadline, [&](const auto& now, ClientId client, bool owner_lives) {
            return sealedRegion(region, now, generation, use, client, owner_lives);
        });
    if (!moved) return tl::unexpected<Error>(moved.error());
    return {};
}

Result<Region> EtcdDirectory::beginClean(RegionId region, Generation generation,
                                         Deadline deadline) {
    return moveRegion(region, deadline, [&](const auto& now, ClientId client, bool owner_lives) {
        return cleaningRegion(region, now, generation, client, owner_lives);
    });
}

Result<> EtcdDirectory::endClean(RegionId region, Generation generation, Deadline deadline) {
    const auto moved = moveRegion(region, deadline, [&](const auto& now, ClientId client, bool) {
        return cleanRegion(region, now, generation, client);
    });
    if (!moved) return tl::unexpected<Error>(moved.error());
    return {};
}

Result<std::vector<Region>> EtcdDirectory::regions(FileNumber file, Deadline deadline) {
    const std::string prefix = keys_.regions(file);
    std::vector<Region> all;
    std::string from = prefix;
    int64_t revision = 0;
    for (bool more = true; more;) {
        rpc::TxnRequest request;
        rpc::RangeRequest* page = addGet(&request, from);
        page->set_range_end(endOfPrefix(prefix));
        page->set_limit(kRegionsOfAPage);
        page->set_revision(revision);
        // Their marks lie between the same numbers.
        rpc::RangeRequest* marks =
            addGet(&request, keys_.touches(file) + from.substr(prefix.size()));
        marks->set_range_end(endOfPrefix(keys_.touches(file)));
        marks->set_limit(kRegionsOfAPage);
        marks->set_revision(revision);
        const auto response = cluster_->transact(request, deadline);
        if (!response) return tl::unexpected<Error>(response.error());
        if (revision == 0) revision = response->header().revision();
        std::unordered_map<uint32_t, int64_t> touched;
        for (const rpc::KeyValue& one : response->responses(1).response_range().kvs()) {
            touched[EtcdKeys::numberAt(one.key()).value_or(0)] = one.mod_revision();
        }
        const rpc::RangeResponse& found_ones = response->responses(0).response_range();
        for (const rpc::KeyValue& one : found_ones.kvs()) {
            const RegionId id{file, EtcdKeys::numberAt(one.key()).value_or(0)};
            const auto record = decodeRegion(one.value());
            if (!record) return tl::unexpected<Error>(damagedRecord("region " + toString(id)));
            const auto mark = touched.find(id.index);
            const int64_t used =
                std::max(one.mod_revision(), mark == touched.end() ? int64_t{0} : mark->second);
            all.push_back(record->with(id, static_cast<uint64_t>(used)));
        }
        more = found_ones.more();
        if (more) from = found_ones.kvs(found_ones.kvs_size() - 1).key() + '\0';
    }
    return all;
}

Result<> EtcdDirectory::touch(const std::vector<RegionId>& regions, Deadline deadline) {
    std::vector<rpc::TxnRequest> requests;
    const std::set<RegionId> once(regions.begin(), regions.end());
    size_t count = 0;
    for (const RegionId& region : once) {
        if (count++ % kOperations == 0) requests.emplace_back();
        addPut(&requests.back(), keys_.touch(region), "");
    }
    const auto responses = cluster_->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    return {};
}

// --- Objects

Result<std::vector<ChangeOutcome>> EtcdDirectory::commit(const std::vector<Change>& changes,
                                                         Deadline deadline) {
    if (auto checked = checkChanges(changes); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    if (auto client = self(); !client) return tl::unexpected<Error>(client.error());
    return group_.commit(changes, deadline);
}

Result<ChangeOutcomes> EtcdDirectory::runGroup(const std::vector<const Change*>& changes,
                                               Deadline deadline) {
    ChangeOutcomes outcomes(changes.size(), ChangeOutcome::kRegionLost);
    std::vector<Pending> all;
    all.reserve(changes.size());
    for (size_t i = 0; i < changes.size(); ++i) {
        const Change& change = *changes[i];
        std::set<RegionId> regions;
        bool ours = true;
        {
            const std::lock_guard lock(mutex_);
            forNewExtents(change, [&](const Extent& extent) {
                const auto owned = owned_.find(extent.region);
                const auto record =
                    owned == owned_.end() ? std::nullopt : decodeRegion(owned->second);
                ours = ours && record && record->generation == extent.generation;
                regions.insert(extent.region);
            });
        }
        if (!ours || regions.size() > kRegionsOfATransaction) continue;
        all.push_back({&change,
                       i,
                       keys_.object(change.key),
                       encodeEntry(change.key, change.entry),
                       {regions.begin(), regions.end()}});
    }
    std::vector<Pending*> pending;
    for (Pending& one : all) pending.push_back(&one);
    while (!pending.empty()) {
        if (isLate(deadline)) return tl::unexpected<Error>(tooLate("an entry"));
        if (auto sent = sendRound(&pending, &outcomes, deadline); !sent) {
            return tl::unexpected<Error>(sent.error());
        }
    }
    const auto done =
        static_cast<size_t>(std::count(outcomes.begin(), outcomes.end(), ChangeOutcome::kDone));
    counters_->add(&DirectoryStatistics::changed, done);
    counters_->add(&DirectoryStatistics::refused, changes.size() - done);
    return outcomes;
}

// One transaction compares the regions for all of its entries, and has a small one in it for each
// entry, which compares that entry alone.
Result<> EtcdDirectory::sendRound(std::vector<Pending*>* pending, ChangeOutcomes* outcomes,
                                  Deadline deadline) {
    struct Part {
        std::vector<Pending*> members;
        std::vector<std::pair<RegionId, std::string>> regions;
        size_t bytes = 0;
    };
    std::vector<Part> parts;
    std::vector<rpc::TxnRequest> requests;
    for (Pending* one : *pending) {
        const size_t bytes = one->key.size() * 3 + one->entry.size() * 2 + 100;
        const auto fits = [&](const Part& part) {
            return part.members.size() < kOperations && part.bytes + bytes <= kRequestBytes &&
                   part.regions.size() + one->regions.size() <= kRegionsOfATransaction;
        };
        if (parts.empty() || !fits(parts.back())) {
            parts.emplace_back();
            requests.emplace_back();
        }
        Part& part = parts.back();
        rpc::TxnRequest& request = requests.back();
        part.members.push_back(one);
        part.bytes += bytes;
        for (const RegionId& region : one->regions) {
            if (std::any_of(part.regions.begin(), part.regions.end(),
                            [&](const auto& known) { return known.first == region; })) {
                continue;
            }
            const std::lock_guard lock(mutex_);
            const auto owned = owned_.find(region);
            // Sealed since: no record is empty.
            part.regions.emplace_back(region, owned == owned_.end() ? "" : owned->second);
            ifValue(&request, keys_.region(region), part.regions.back().second);
            addGetElse(&request, keys_.region(region));
        }
        rpc::TxnRequest* own = request.add_success()->mutable_request_txn();
        switch (one->change->when) {
            case Change::When::kAbsent:
                ifRevision(own, one->key, one->replaces);
                break;
            case Change::When::kUnchanged:
                ifValue(own, one->key, encodeEntry(one->change->key, one->change->before));
                break;
            case Change::When::kAlways:
                break;
        }
        addPut(own, one->key, one->entry);
        addGetElse(own, one->key);
    }
    // etcd's quota counts what a transaction puts by itself, not what those within it do: without
    // this the database would grow beyond it.
    for (rpc::TxnRequest& request : requests) addPut(&request, keys_.written(), "");
    const auto responses = cluster_->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    pending->clear();
    std::vector<Pending*> there;
    for (size_t i = 0; i < parts.size(); ++i) {
        const rpc::TxnResponse& response = (*responses)[i];
        if (!response.succeeded()) {
            std::set<RegionId> lost;
            for (size_t j = 0; j < parts[i].regions.size(); ++j) {
                const rpc::KeyValue* record = found(response, static_cast<int>(j));
                const auto& [region, expected] = parts[i].regions[j];
                if (record == nullptr || record->value() != expected) lost.insert(region);
            }
            for (Pending* one : parts[i].members) {
                const bool is_lost =
                    std::any_of(one->regions.begin(), one->regions.end(),
                                [&](const RegionId& region) { return lost.count(region) != 0; });
                if (!is_lost) pending->push_back(one);
            }
            continue;
        }
        for (size_t j = 0; j < parts[i].members.size(); ++j) {
            Pending* one = parts[i].members[j];
            ChangeOutcome& outcome = (*outcomes)[one->index];
            const rpc::TxnResponse& own = response.responses(static_cast<int>(j)).response_txn();
            const rpc::KeyValue* entry = own.succeeded() ? nullptr : found(own, 0);
            // An equal entry is this one: an earlier try has set it, and its answer was lost.
            if (own.succeeded() || (entry != nullptr && entry->value() == one->entry)) {
                outcome = ChangeOutcome::kDone;
            } else if (one->change->when == Change::When::kUnchanged) {
                outcome = ChangeOutcome::kChanged;
            } else if (entry == nullptr) {
                one->replaces = 0;
                pending->push_back(one);
            } else {
                one->there = entry->value();
                one->revision = entry->mod_revision();
                there.push_back(one);
            }
        }
    }
    return findStale(there, pending, outcomes, deadline);
}

// An entry that is there and cannot be read by anybody ever again is replaced.
Result<> EtcdDirectory::findStale(const std::vector<Pending*>& there,
                                  std::vector<Pending*>* pending, ChangeOutcomes* outcomes,
                                  Deadline deadline) {
    if (there.empty()) return {};
    std::vector<std::pair<Pending*, std::optional<ObjectEntry>>> entries;
    std::vector<RegionId> regions;
    for (Pending* one : there) {
        entries.emplace_back(one, decode(one->change->key, one->there));
        if (!entries.back().second) continue;
        for (const Replica& replica : entries.back().second->replicas) {
            for (const Extent& extent : replica) regions.push_back(extent.region);
        }
    }
    std::sort(regions.begin(), regions.end());
    regions.erase(std::unique(regions.begin(), regions.end()), regions.end());
    const auto state = readState(deadline);
    if (!state) return tl::unexpected<Error>(state.error());
    std::vector<std::string> keys;
    for (const RegionId& region : regions) keys.push_back(keys_.region(region));
    std::unordered_map<RegionId, Generation> generations;
    const auto read = readAll(
        keys, false,
        [&](size_t at, const rpc::RangeResponse& response) {
            const auto record = decodeRegion(response.kvs(0).value());
            if (record) generations[regions[at]] = record->generation;
        },
        deadline);
    if (!read) return read;
    const auto fileGone = [&](FileNumber number) {
        const auto file = state->files.find(number);
        return isGone(file == state->files.end() ? std::nullopt
                                                 : std::optional<FileInfo>(file->second));
    };
    const auto generationOf = [&](RegionId region) {
        const auto known = generations.find(region);
        return known == generations.end() ? Generation{0} : known->second;
    };
    for (const auto& [one, entry] : entries) {
        if (entry && !isStale(*entry, fileGone, generationOf)) {
            (*outcomes)[one->index] = ChangeOutcome::kExists;
        } else {
            one->replaces = one->revision;
            pending->push_back(one);
        }
    }
    return {};
}

std::optional<ObjectEntry> EtcdDirectory::decode(std::string_view key, std::string_view bytes) {
    auto entry = decodeEntry(key, bytes);
    if (entry) return std::move(*entry);
    counters_->add(&DirectoryStatistics::damaged);
    LOG_EVERY_N(ERROR, 100) << entry.error().message;
    return std::nullopt;
}

Result<> EtcdDirectory::readAll(const std::vector<std::string>& keys, bool count_only,
                                const std::function<void(size_t, const rpc::RangeResponse&)>& found,
                                Deadline deadline) {
    std::vector<rpc::TxnRequest> requests((keys.size() + kOperations - 1) / kOperations);
    for (size_t i = 0; i < keys.size(); ++i) {
        addGet(&requests[i / kOperations], keys[i])->set_count_only(count_only);
    }
    const auto responses = cluster_->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    for (size_t i = 0; i < keys.size(); ++i) {
        const rpc::RangeResponse& range = (*responses)[i / kOperations]
                                              .responses(static_cast<int>(i % kOperations))
                                              .response_range();
        if (range.count() != 0) found(i, range);
    }
    return {};
}

Result<std::vector<std::optional<ObjectEntry>>> EtcdDirectory::lookup(
    const std::vector<std::string>& keys, Deadline deadline) {
    std::vector<std::string> places;
    places.reserve(keys.size());
    for (const std::string& key : keys) places.push_back(keys_.object(key));
    std::vector<std::optional<ObjectEntry>> entries(keys.size());
    uint64_t count = 0;
    const auto read = readAll(
        places, false,
        [&](size_t at, const rpc::RangeResponse& response) {
            entries[at] = decode(keys[at], response.kvs(0).value());
            count += entries[at] ? 1 : 0;
        },
        deadline);
    if (!read) return tl::unexpected<Error>(read.error());
    counters_->add(&DirectoryStatistics::looked_up, keys.size());
    counters_->add(&DirectoryStatistics::found, count);
    return entries;
}

Result<std::vector<bool>> EtcdDirectory::exists(const std::vector<std::string>& keys,
                                                const ExtentFilter& filter, Deadline deadline) {
    std::vector<std::string> places;
    places.reserve(keys.size());
    for (const std::string& key : keys) places.push_back(keys_.object(key));
    std::vector<bool> there(keys.size(), false);
    uint64_t count = 0;
    const auto read = readAll(
        places, filter == nullptr,
        [&](size_t at, const rpc::RangeResponse& response) {
            there[at] =
                filter == nullptr || passes(decode(keys[at], response.kvs(0).value()), filter);
            count += there[at] ? 1 : 0;
        },
        deadline);
    if (!read) return tl::unexpected<Error>(read.error());
    counters_->add(&DirectoryStatistics::looked_up, keys.size());
    counters_->add(&DirectoryStatistics::found, count);
    return there;
}

Result<std::vector<Edit>> EtcdDirectory::edit(const std::vector<std::string>& keys,
                                              const Editor& editor, Deadline deadline) {
    std::vector<Edit> edits(keys.size(), Edit::kKeep);
    std::vector<size_t> left(keys.size());
    for (size_t i = 0; i < left.size(); ++i) left[i] = i;
    while (!left.empty()) {
        if (isLate(deadline)) return tl::unexpected<Error>(tooLate("an entry"));
        std::vector<std::string> places;
        for (const size_t i : left) places.push_back(keys_.object(keys[i]));
        std::vector<rpc::TxnRequest> requests;
        std::vector<std::vector<size_t>> members;
        std::unordered_set<std::string_view> in_request;
        size_t bytes = 0;
        const auto read = readAll(
            places, false,
            [&](size_t at, const rpc::RangeResponse& response) {
                const size_t i = left[at];
                const rpc::KeyValue& there = response.kvs(0);
                auto entry = decode(keys[i], there.value());
                // Of one that cannot be read nobody can tell what it says; it is of no use.
                edits[i] = entry ? editor(keys[i], &*entry) : Edit::kRemove;
                if (edits[i] == Edit::kKeep) return;
                const std::string changed =
                    edits[i] == Edit::kChange ? encodeEntry(keys[i], *entry) : "";
                const size_t size = there.key().size() * 2 + changed.size() + 100;
                if (requests.empty() || members.back().size() == kOperations ||
                    bytes + size > kRequestBytes || in_request.count(keys[i]) != 0) {
                    requests.emplace_back();
                    members.emplace_back();
                    in_request.clear();
                    bytes = 0;
                }
                bytes += size;
                in_request.insert(keys[i]);
                members.back().push_back(i);
                rpc::TxnRequest* own = requests.back().add_success()->mutable_request_txn();
                ifRevision(own, there.key(), there.mod_revision());
                if (edits[i] == Edit::kChange) {
                    addPut(own, there.key(), changed);
                } else {
                    addDelete(own, there.key());
                }
            },
            deadline);
        if (!read) return tl::unexpected<Error>(read.error());
        const auto responses = cluster_->transact(requests, deadline);
        if (!responses) return tl::unexpected<Error>(responses.error());
        left.clear();
        for (size_t i = 0; i < members.size(); ++i) {
            for (size_t j = 0; j < members[i].size(); ++j) {
                const size_t at = members[i][j];
                if (!(*responses)[i].responses(static_cast<int>(j)).response_txn().succeeded()) {
                    edits[at] = Edit::kKeep;
                    left.push_back(at);
                } else if (edits[at] == Edit::kRemove) {
                    counters_->add(&DirectoryStatistics::removed);
                }
            }
        }
    }
    return edits;
}

Result<std::vector<bool>> EtcdDirectory::remove(const std::vector<std::string>& keys,
                                                Deadline deadline) {
    std::vector<rpc::TxnRequest> requests((keys.size() + kOperations - 1) / kOperations);
    for (size_t i = 0; i < keys.size(); ++i) {
        addDelete(&requests[i / kOperations], keys_.object(keys[i]));
    }
    const auto responses = cluster_->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    std::vector<bool> removed(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
        removed[i] = (*responses)[i / kOperations]
                         .responses(static_cast<int>(i % kOperations))
                         .response_delete_range()
                         .deleted() != 0;
    }
    counters_->add(&DirectoryStatistics::removed,
                   static_cast<uint64_t>(std::count(removed.begin(), removed.end(), true)));
    return removed;
}

Result<Page> EtcdDirectory::list(const std::string& prefix, const std::string& from, size_t limit,
                                 Deadline deadline) {
    const size_t most = std::clamp<size_t>(limit, 1, 10000);
    rpc::TxnRequest request;
    rpc::RangeRequest* range = addGet(&request, keys_.object(std::max(prefix, from)));
    range->set_range_end(endOfPrefix(keys_.object(prefix)));
    range->set_limit(static_cast<int64_t>(most) + 1);
    const auto response = cluster_->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    Page page;
    const size_t skip = keys_.objects().size();
    size_t count = 0;
    for (const rpc::KeyValue& one : response->responses(0).response_range().kvs()) {
        std::string key = one.key().substr(skip);
        if (count++ == most) {
            page.next = std::move(key);
            break;
        }
        auto entry = decode(key, one.value());
        if (entry) page.objects.emplace_back(std::move(key), std::move(*entry));
    }
    return page;
}

// --- What is going on

Result<std::unique_ptr<DirectoryWatch>> EtcdDirectory::watch(Deadline) {
    return std::make_unique<EtcdWatch>(this);
}

Result<> EtcdDirectory::ping(Deadline deadline) {
    rpc::TxnRequest request;
    addGet(&request, keys_.id())->set_count_only(true);
    const auto response = cluster_->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    return {};
}

Result<std::vector<Finding>> EtcdDirectory::check(Deadline deadline) {
    using Severity = Finding::Severity;
    // More revisions than this since the first one are history that nobody throws away.
    constexpr int64_t kRevisions = 10000;
    std::vector<Finding> findings;
    const auto status = cluster_->status(deadline);
    if (!status) return tl::unexpected<Error>(status.error());
    findings.push_back(
        {Severity::kNote, "etcd " + status->version() + ", " + std::to_string(status->dbsize()) +
                              " bytes of database, of which " +
                              std::to_string(status->dbsizeinuse()) + " are in use"});
    const auto alarms = cluster_->alarms(deadline);
    if (!alarms) return tl::unexpected<Error>(alarms.error());
    for (const rpc::AlarmMember& alarm : alarms->alarms()) {
        findings.push_back(
            {Severity::kError,
             alarm.alarm() == rpc::NOSPACE
                 ? "etcd's space is used up, and it takes no entries: raise "
                   "--quota-backend-bytes or remove objects, then compact, defragment and disarm "
                   "the alarm (etcdctl compact, defrag, alarm disarm)"
                 : "etcd says that its database is corrupt; restore it, or make the directory "
                   "again "
                   "from the store's files"});
    }
    rpc::RangeRequest first;
    first.set_key(keys_.id());
    first.set_revision(2);
    first.set_count_only(true);
    const auto history = cluster_->range(first, deadline);
    if (!history && history.error().failure == Failure::kNotFound) {
        findings.push_back({Severity::kNote, "etcd's history is compacted"});
    } else if (!history) {
        return tl::unexpected<Error>(history.error());
    } else if (history->header().revision() > kRevisions) {
        findings.push_back({Severity::kWarning,
                            "etcd keeps all " + std::to_string(history->header().revision()) +
                                " revisions since its first, which fills its space: start it with "
                                "--auto-compaction-mode=periodic --auto-compaction-retention=1h"});
    }
    return findings;
}

DirectoryStatistics EtcdDirectory::statistics() const {
    DirectoryStatistics numbers = counters_->read();
    const auto count = group_.count();
    numbers.groups = count.groups;
    numbers.grouped = count.calls;
    return numbers;
}

}  // namespace mooncake::store
