// SPDX-License-Identifier: Apache-2.0
#include "etcd_entries.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_set>

#include "etcd_commit.h"
#include "etcd_read.h"
#include "key_range.h"

namespace mooncake::store {

size_t EtcdEntries::groupLimit() const {
    return 8 * kEtcdOperations;
}

Result<ChangeOutcomes> EtcdEntries::set(ClientId client, const std::vector<const Change*>& changes,
                                        Deadline deadline) {
    return EtcdCommit(*store_, *files_, *owned_, reader_, deadline).run(client, changes);
}

std::vector<std::string> EtcdEntries::placesOf(const std::vector<std::string>& keys) const {
    std::vector<std::string> places;
    places.reserve(keys.size());
    for (const std::string& key : keys) places.push_back(store_->keys.object(key));
    return places;
}

Result<> EtcdEntries::read(const std::vector<std::string>& keys, Need need, const Found& found,
                           Deadline deadline) {
    const bool exists = need == Need::kExistence;
    return readKeys(
        *store_, placesOf(keys), exists ? EtcdWant::kCount : EtcdWant::kValue,
        [&](size_t at, const rpc::RangeResponse& answer) {
            found(at, exists ? std::string_view() : answer.kvs(0).value());
        },
        deadline);
}

namespace {

// Changes of entries that are as they were read, in transactions of one for each.
class EditRequests {
 public:
    void add(size_t index, const rpc::KeyValue& there, const EntryReader::Edited& next) {
        const size_t bytes = there.key().size() * 2 + next.bytes.size() + 100;
        if (requests_.empty() || members_.back().size() == kEtcdOperations ||
            bytes_ + bytes > kEtcdRequestBytes || keys_.count(there.key()) != 0) {
            requests_.emplace_back();
            members_.emplace_back();
            keys_.clear();
            bytes_ = 0;
        }
        bytes_ += bytes;
        keys_.insert(there.key());
        members_.back().push_back(index);
        rpc::TxnRequest* own = requests_.back().add_success()->mutable_request_txn();
        ifRevision(own, there.key(), there.mod_revision());
        if (next.edit == Edit::kChange) {
            addPut(own, there.key(), next.bytes);
        } else {
            addDelete(own, there.key());
        }
    }

    // @return those whose entry has changed in between
    Result<std::vector<size_t>> send(EtcdCluster* cluster, Deadline deadline) const {
        const auto responses = cluster->transact(requests_, deadline);
        if (!responses) return tl::unexpected<Error>(responses.error());
        std::vector<size_t> refused;
        for (size_t i = 0; i < members_.size(); ++i) {
            for (size_t j = 0; j < members_[i].size(); ++j) {
                const auto& own = (*responses)[i].responses(static_cast<int>(j)).response_txn();
                if (!own.succeeded()) refused.push_back(members_[i][j]);
            }
        }
        return refused;
    }

 private:
    std::vector<rpc::TxnRequest> requests_;
    std::vector<std::vector<size_t>> members_;  // of each request
    // Of the last request: a key is put once in a transaction.
    std::unordered_set<std::string> keys_;
    size_t bytes_ = 0;
};

}  // namespace

Result<std::vector<Edit>> EtcdEntries::edit(const std::vector<std::string>& keys,
                                            const Directory::Editor& editor, Deadline deadline) {
    std::vector<Edit> edits(keys.size(), Edit::kKeep);
    std::vector<size_t> left(keys.size());
    std::iota(left.begin(), left.end(), size_t{0});
    while (!left.empty()) {
        if (isLate(deadline)) return tl::unexpected<Error>(tooLate("an entry"));
        std::vector<std::string> places;
        for (const size_t index : left) places.push_back(store_->keys.object(keys[index]));
        EditRequests requests;
        const auto read = readKeys(
            *store_, places, EtcdWant::kValue,
            [&](size_t at, const rpc::RangeResponse& answer) {
                const size_t index = left[at];
                const rpc::KeyValue& there = answer.kvs(0);
                const auto next = reader_.edit(keys[index], there.value(), editor);
                edits[index] = next.edit;
                if (next.edit != Edit::kKeep) requests.add(index, there, next);
            },
            deadline);
        if (!read) return tl::unexpected<Error>(read.error());
        auto refused = requests.send(store_->cluster.get(), deadline);
        if (!refused) return tl::unexpected<Error>(refused.error());
        left = std::move(*refused);
        for (const size_t index : left) edits[index] = Edit::kKeep;
    }
    return edits;
}

Result<std::vector<bool>> EtcdEntries::remove(const std::vector<std::string>& keys,
                                              Deadline deadline) {
    std::vector<rpc::TxnRequest> requests((keys.size() + kEtcdOperations - 1) / kEtcdOperations);
    for (size_t i = 0; i < keys.size(); ++i) {
        addDelete(&requests[i / kEtcdOperations], store_->keys.object(keys[i]));
    }
    const auto responses = store_->cluster->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    std::vector<bool> removed(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
        removed[i] = (*responses)[i / kEtcdOperations]
                         .responses(static_cast<int>(i % kEtcdOperations))
                         .response_delete_range()
                         .deleted() != 0;
    }
    return removed;
}

Result<Page> EtcdEntries::list(const std::string& prefix, const std::string& from, size_t limit,
                               Deadline deadline) {
    const size_t most = std::clamp<size_t>(limit, 1, 10000);
    rpc::TxnRequest request;
    rpc::RangeRequest* range = addGet(&request, store_->keys.object(std::max(prefix, from)));
    range->set_range_end(endOfPrefix(store_->keys.object(prefix)));
    range->set_limit(static_cast<int64_t>(most) + 1);
    const auto response = store_->cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    Page page;
    const size_t skip = store_->keys.objects().size();
    size_t count = 0;
    for (const rpc::KeyValue& one : response->responses(0).response_range().kvs()) {
        std::string key = one.key().substr(skip);
        if (count++ == most) {
            page.next = std::move(key);
            break;
        }
        auto entry = reader_.decode(key, one.value());
        if (entry) page.objects.emplace_back(std::move(key), std::move(*entry));
    }
    return page;
}

}  // namespace mooncake::store
