// SPDX-License-Identifier: Apache-2.0
// One group of changes on its way into etcd: transactions of up to 120 entries, which compare the
// records of their regions once, and have a small transaction within for each entry, which compares
// that entry alone. An entry with more regions than can be compared has a transaction of its own,
// which compares that the client is still one: until then nobody else changes a region that it has
// open. What has to be tried again goes into another round.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "directory_types.h"
#include "entry_reader.h"
#include "etcd_files.h"
#include "etcd_owned_regions.h"
#include "etcd_store.h"

namespace mooncake::store {

// Used once.
class EtcdCommit {
 public:
    EtcdCommit(const EtcdStore& store, const EtcdFiles& files, const EtcdOwnedRegions& owned,
               const EntryReader& reader, Deadline deadline)
        : store_(store), files_(files), owned_(owned), reader_(reader), deadline_(deadline) {}

    Result<ChangeOutcomes> run(ClientId client, const std::vector<const Change*>& changes);

 private:
    // The record of a region that a change needs, as it is to stand in etcd.
    using Claim = std::pair<RegionId, std::string>;
    struct Pending {
        const Change* change = nullptr;
        size_t index = 0;  // among the outcomes
        std::string key;
        std::string entry;
        std::vector<Claim> claims;  // in order of the regions
        bool by_client = false;     // they are too many: the client's own record stands for them
        int64_t replaces = 0;       // the revision of an entry that nobody can read
        std::string there;          // the entry that was found
        int64_t revision = 0;       // its revision
    };
    // One transaction.
    struct Part {
        rpc::TxnRequest request;
        std::vector<Pending*> members;
        std::vector<Claim> claims;
        size_t bytes = 0;
    };

    std::optional<Pending> prepare(ClientId client, const Change& change, size_t index) const;
    Result<> sendRound();
    std::vector<Part> cut() const;
    void addTo(Part* part, Pending* one) const;
    void retry(const Part& part, const rpc::TxnResponse& response);
    void settle(Pending* one, const rpc::TxnResponse& response);
    Result<> findStale();

    const EtcdStore& store_;
    const EtcdFiles& files_;
    const EtcdOwnedRegions& owned_;
    const EntryReader& reader_;
    const Deadline deadline_;
    ClientId client_ = 0;
    ChangeOutcomes outcomes_;
    std::vector<Pending*> pending_;  // for the next round
    std::vector<Pending*> there_;    // their key has an entry: can it be read by anybody?
};

}  // namespace mooncake::store
