// SPDX-License-Identifier: Apache-2.0
#include "etcd_regions.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "key_range.h"
#include "random_id.h"
#include "record_codec.h"
#include "refusals.h"

namespace mooncake::store {

namespace {

constexpr int64_t kPage = 5000;

}  // namespace

Result<Region> EtcdRegions::take(ClientId client, FileNumber file, Deadline deadline) {
    RegionRecord record{RegionState::kOpen, 1, client, randomId(), {}};
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, store_->keys.file(file));
        addGet(&look, store_->keys.untouched(file));
        addList(&look, store_->keys.cleanOnes(file))->set_limit(8);
        const auto seen = store_->cluster->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto info = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (!info || info->state != FileState::kActive) return noSuchFile(file);
        const auto taken = numberOf(found(*seen, 1));
        const auto& clean = seen->responses(2).response_range().kvs();

        RegionId id{file, 0};
        rpc::TxnRequest take;
        ifThere(&take, store_->keys.client(client));
        ifRevision(&take, store_->keys.file(file), revisionOf(known));
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
            ifRevision(&take, store_->keys.untouched(file), revisionOf(found(*seen, 1)));
            ifAbsent(&take, store_->keys.region(id));
            addPut(&take, store_->keys.untouched(file), numberText(*taken + 1));
        }
        addPut(&take, store_->keys.region(id), encodeRegion(record));
        addGetElse(&take, store_->keys.region(id));
        addGetElse(&take, store_->keys.client(client));
        addGetElse(&take, store_->keys.untouched(file));
        const auto done = store_->cluster->transact(take, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        const rpc::KeyValue* there = done->succeeded() ? nullptr : found(*done, 0);
        // The token is this call's: an earlier try has taken it, and its answer was lost.
        if (done->succeeded() || (there != nullptr && there->value() == encodeRegion(record))) {
            owned_->add(id, record);
            const int64_t revision =
                there != nullptr ? there->mod_revision() : done->header().revision();
            return record.with(id, static_cast<uint64_t>(revision));
        }
        if (found(*done, 1) == nullptr) return leaseLost(client);
        // It was adopted: it lies before the mark, and is not to be looked at again.
        if (there != nullptr && clean.empty() &&
            revisionOf(found(*done, 2)) == revisionOf(found(*seen, 1))) {
            rpc::TxnRequest skip;
            ifRevision(&skip, store_->keys.untouched(file), revisionOf(found(*seen, 1)));
            addPut(&skip, store_->keys.untouched(file), numberText(*taken + 1));
            const auto skipped = store_->cluster->transact(skip, deadline);
            if (!skipped) return tl::unexpected<Error>(skipped.error());
        }
    }
    return tl::unexpected<Error>(tooLate("file " + std::to_string(file)));
}

Result<Region> EtcdRegions::move(ClientId client, RegionId region, const Rule& rule,
                                 Deadline deadline) {
    const std::string key = store_->keys.region(region);
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, store_->keys.file(region.file));
        addGet(&look, key);
        addGet(&look, store_->keys.client(client));
        const auto seen = store_->cluster->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto info = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (found(*seen, 2) == nullptr) return leaseLost(client);
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
        bool owner_lives = now && now->owner == client;
        const bool ask = now && now->owner != 0 && !owner_lives;
        if (ask) {
            rpc::TxnRequest question;
            addGet(&question, store_->keys.client(now->owner));
            const auto answer = store_->cluster->transact(question, deadline);
            if (!answer) return tl::unexpected<Error>(answer.error());
            owner_lives = found(*answer, 0) != nullptr;
        }
        const NextRegion next = rule(now, owner_lives);
        if (!next) return tl::unexpected<Error>(next.error());
        const auto arrived = [&](const RegionRecord& record, int64_t revision) {
            if (record.state == RegionState::kOpen) {
                owned_->add(region, record);
            } else {
                owned_->remove(region);
            }
            return record.with(region, static_cast<uint64_t>(revision));
        };
        if (!*next) return arrived(*now, revisionOf(there));
        rpc::TxnRequest move;
        ifThere(&move, store_->keys.client(client));
        ifRevision(&move, store_->keys.file(region.file), revisionOf(known));
        ifRevision(&move, key, revisionOf(there));
        if (ask && !owner_lives) ifAbsent(&move, store_->keys.client(now->owner));
        addPut(&move, key, encodeRegion(**next));
        if ((*next)->state == RegionState::kClean) {
            addPut(&move, store_->keys.clean(region), numberText((*next)->generation));
        }
        const auto done = store_->cluster->transact(move, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        if (done->succeeded()) return arrived(**next, done->header().revision());
    }
    return tl::unexpected<Error>(tooLate("region " + toString(region)));
}

Result<std::vector<Region>> EtcdRegions::list(FileNumber file, Deadline deadline) {
    const std::string prefix = store_->keys.regions(file);
    std::vector<Region> all;
    std::string from = prefix;
    int64_t revision = 0;
    for (bool more = true; more;) {
        rpc::TxnRequest request;
        rpc::RangeRequest* page = addGet(&request, from);
        page->set_range_end(endOfPrefix(prefix));
        page->set_limit(kPage);
        page->set_revision(revision);
        // Their marks lie between the same numbers.
        rpc::RangeRequest* marks =
            addGet(&request, store_->keys.touches(file) + from.substr(prefix.size()));
        marks->set_range_end(endOfPrefix(store_->keys.touches(file)));
        marks->set_limit(kPage);
        marks->set_revision(revision);
        const auto response = store_->cluster->transact(request, deadline);
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

Result<> EtcdRegions::touch(const std::vector<RegionId>& regions, Deadline deadline) {
    std::vector<rpc::TxnRequest> requests;
    const std::set<RegionId> once(regions.begin(), regions.end());
    size_t count = 0;
    for (const RegionId& region : once) {
        if (count++ % kEtcdOperations == 0) requests.emplace_back();
        addPut(&requests.back(), store_->keys.touch(region), "");
    }
    const auto responses = store_->cluster->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    return {};
}

}  // namespace mooncake::store
