// SPDX-License-Identifier: Apache-2.0
#include "etcd_commit.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "entry_codec.h"
#include "etcd_read.h"
#include "record_codec.h"
#include "stale_entry.h"

namespace mooncake::store {

namespace {

constexpr size_t kRegionsOfATransaction = 100;

}  // namespace

Result<ChangeOutcomes> EtcdCommit::run(ClientId client, const std::vector<const Change*>& changes) {
    client_ = client;
    outcomes_.assign(changes.size(), ChangeOutcome::kRegionLost);
    std::vector<Pending> all;
    all.reserve(changes.size());
    for (size_t i = 0; i < changes.size(); ++i) {
        if (auto one = prepare(client, *changes[i], i)) all.push_back(std::move(*one));
    }
    for (Pending& one : all) pending_.push_back(&one);
    while (!pending_.empty()) {
        if (isLate(deadline_)) return tl::unexpected<Error>(tooLate("an entry"));
        if (auto sent = sendRound(); !sent) return tl::unexpected<Error>(sent.error());
    }
    return std::move(outcomes_);
}

// None where a region is not this client's.
std::optional<EtcdCommit::Pending> EtcdCommit::prepare(ClientId client, const Change& change,
                                                       size_t index) const {
    std::map<RegionId, std::string> claims;
    bool ours = true;
    forNewExtents(change, [&](const Extent& extent) {
        std::string& record = claims[extent.region];
        record = owned_.find(client, extent.region, extent.generation);
        ours = ours && !record.empty();
    });
    if (!ours) return std::nullopt;
    Pending one;
    one.change = &change;
    one.index = index;
    one.key = store_.keys.object(change.key);
    one.entry = encodeEntry(change.key, change.entry);
    one.by_client = claims.size() > kRegionsOfATransaction;
    if (!one.by_client) one.claims.assign(claims.begin(), claims.end());
    return one;
}

Result<> EtcdCommit::sendRound() {
    std::vector<Part> parts = cut();
    std::vector<rpc::TxnRequest> requests;
    for (Part& part : parts) requests.push_back(std::move(part.request));
    const auto responses = store_.cluster->transact(requests, deadline_);
    if (!responses) return tl::unexpected<Error>(responses.error());
    pending_.clear();
    there_.clear();
    for (size_t i = 0; i < parts.size(); ++i) {
        const rpc::TxnResponse& response = (*responses)[i];
        if (!response.succeeded()) {
            retry(parts[i], response);
            continue;
        }
        for (size_t j = 0; j < parts[i].members.size(); ++j) {
            settle(parts[i].members[j], response.responses(static_cast<int>(j)).response_txn());
        }
    }
    return findStale();
}

std::vector<EtcdCommit::Part> EtcdCommit::cut() const {
    std::vector<Part> parts;
    for (Pending* one : pending_) {
        const size_t bytes = one->key.size() * 3 + one->entry.size() * 2 + 100;
        const auto fits = [&](const Part& part) {
            return !one->by_client && !part.members.front()->by_client &&
                   part.members.size() < kEtcdOperations &&
                   part.bytes + bytes <= kEtcdRequestBytes &&
                   part.claims.size() + one->claims.size() <= kRegionsOfATransaction;
        };
        if (parts.empty() || !fits(parts.back())) parts.emplace_back();
        parts.back().bytes += bytes;
        addTo(&parts.back(), one);
    }
    // etcd's quota counts what a transaction puts by itself, not what those within it do: without
    // this the database would grow beyond it.
    for (Part& part : parts) addPut(&part.request, store_.keys.written(), "");
    return parts;
}

void EtcdCommit::addTo(Part* part, Pending* one) const {
    part->members.push_back(one);
    if (one->by_client) ifThere(&part->request, store_.keys.client(client_));
    for (const Claim& claim : one->claims) {
        if (std::find(part->claims.begin(), part->claims.end(), claim) != part->claims.end()) {
            continue;
        }
        part->claims.push_back(claim);
        ifValue(&part->request, store_.keys.region(claim.first), claim.second);
        addGetElse(&part->request, store_.keys.region(claim.first));
    }
    rpc::TxnRequest* own = part->request.add_success()->mutable_request_txn();
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

// A region of the part is no longer this client's, or this is no client any more: the entries in
// the other regions go again.
void EtcdCommit::retry(const Part& part, const rpc::TxnResponse& response) {
    if (part.members.front()->by_client) return;
    std::set<RegionId> lost;
    for (size_t i = 0; i < part.claims.size(); ++i) {
        const rpc::KeyValue* record = found(response, static_cast<int>(i));
        const auto& [region, expected] = part.claims[i];
        if (record == nullptr || record->value() != expected) lost.insert(region);
    }
    for (Pending* one : part.members) {
        const bool is_lost =
            std::any_of(one->claims.begin(), one->claims.end(),
                        [&](const Claim& claim) { return lost.count(claim.first) != 0; });
        if (!is_lost) pending_.push_back(one);
    }
}

void EtcdCommit::settle(Pending* one, const rpc::TxnResponse& response) {
    ChangeOutcome& outcome = outcomes_[one->index];
    const rpc::KeyValue* entry = response.succeeded() ? nullptr : found(response, 0);
    // An equal entry is this one: an earlier try has set it, and its answer was lost.
    if (response.succeeded() || (entry != nullptr && entry->value() == one->entry)) {
        outcome = ChangeOutcome::kDone;
    } else if (one->change->when == Change::When::kUnchanged) {
        outcome = ChangeOutcome::kChanged;
    } else if (entry == nullptr) {
        one->replaces = 0;
        pending_.push_back(one);
    } else {
        one->there = entry->value();
        one->revision = entry->mod_revision();
        there_.push_back(one);
    }
}

// An entry that is there and cannot be read by anybody ever again is replaced.
Result<> EtcdCommit::findStale() {
    if (there_.empty()) return {};
    std::vector<std::optional<ObjectEntry>> entries;
    std::set<RegionId> named;
    for (const Pending* one : there_) {
        entries.push_back(reader_.decode(one->change->key, one->there));
        if (!entries.back()) continue;
        for (const Replica& replica : entries.back()->replicas) {
            for (const Extent& extent : replica) named.insert(extent.region);
        }
    }
    const auto state = files_.state(deadline_);
    if (!state) return tl::unexpected<Error>(state.error());
    const std::vector<RegionId> regions(named.begin(), named.end());
    std::vector<std::string> keys;
    for (const RegionId& region : regions) keys.push_back(store_.keys.region(region));
    std::unordered_map<RegionId, Generation> generations;
    const auto read = readKeys(
        store_, keys, EtcdWant::kValue,
        [&](size_t at, const rpc::RangeResponse& answer) {
            const auto record = decodeRegion(answer.kvs(0).value());
            if (record) generations[regions[at]] = record->generation;
        },
        deadline_);
    if (!read) return read;
    const auto file_gone = [&](FileNumber number) {
        const auto file = state->files.find(number);
        return isGone(file == state->files.end() ? std::nullopt
                                                 : std::optional<FileInfo>(file->second));
    };
    const auto generation_of = [&](RegionId region) {
        const auto known = generations.find(region);
        return known == generations.end() ? Generation{0} : known->second;
    };
    for (size_t i = 0; i < there_.size(); ++i) {
        Pending* one = there_[i];
        if (entries[i] && !isStale(*entries[i], file_gone, generation_of)) {
            outcomes_[one->index] = ChangeOutcome::kExists;
        } else {
            one->replaces = one->revision;
            pending_.push_back(one);
        }
    }
    return {};
}

}  // namespace mooncake::store
