// SPDX-License-Identifier: Apache-2.0
#include "etcd_backend.h"

#include <algorithm>

#include "etcd_check.h"
#include "etcd_clients.h"
#include "etcd_entries.h"
#include "etcd_files.h"
#include "etcd_owned_regions.h"
#include "etcd_regions.h"
#include "etcd_store.h"
#include "etcd_watch.h"

namespace mooncake::store {

namespace {

constexpr char kVersion = 1;

class EtcdBackend : public DirectoryBackend {
 public:
    EtcdBackend(std::unique_ptr<EtcdCluster> cluster, const std::string& store,
                const DirectoryOptions& options, Counters* counters)
        : store_{std::move(cluster), EtcdKeys(store)},
          attempt_(options.attempt),
          clients_(&store_, &id_value_, options.lease),
          files_(&store_),
          regions_(&store_, &owned_),
          entries_(&store_, &files_, &owned_, counters) {}

    // Whether somebody has made the store's directory.
    Result<bool> exists(Deadline deadline);
    // Reads the store's id, or makes this the one.
    Result<> openStore(const std::string& name, const Uuid& fresh, Deadline deadline);

    Uuid storeId() const override { return id_; }
    ClientRecords& clients() override { return clients_; }
    FileRecords& files() override { return files_; }
    RegionRecords& regions() override { return regions_; }
    EntryRecords& entries() override { return entries_; }
    std::unique_ptr<DirectoryWatch> watch() override {
        return std::make_unique<EtcdWatch>(&store_, &files_, attempt_);
    }
    Result<> ping(Deadline deadline) override;
    Result<std::vector<Finding>> check(Deadline deadline) override {
        return checkEtcd(store_, deadline);
    }

 private:
    const EtcdStore store_;
    const std::chrono::milliseconds attempt_;
    Uuid id_;
    std::string id_value_;  // as it stands in etcd
    EtcdOwnedRegions owned_;
    EtcdClients clients_;
    EtcdFiles files_;
    EtcdRegions regions_;
    EtcdEntries entries_;
};

Result<> EtcdBackend::openStore(const std::string& name, const Uuid& fresh, Deadline deadline) {
    const std::string key = store_.keys.id();
    std::string value(1, kVersion);
    value.append(reinterpret_cast<const char*>(fresh.bytes.data()), fresh.bytes.size());
    rpc::TxnRequest request;
    ifAbsent(&request, key);
    addPut(&request, key, value);
    addGetElse(&request, key);
    const auto response = store_.cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    if (!response->succeeded()) {
        const rpc::KeyValue* there = found(*response, 0);
        value = there == nullptr ? "" : there->value();
    }
    if (value.size() != 1 + fresh.bytes.size() || value.front() != kVersion) {
        return failed(Failure::kUnsupported,
                      "the directory of the store '" + name +
                          "' on etcd is of another version; use the library that made it, or make "
                          "the directory again from the store's files");
    }
    std::copy(value.begin() + 1, value.end(), id_.bytes.begin());
    id_value_ = std::move(value);
    return {};
}

Result<bool> EtcdBackend::exists(Deadline deadline) {
    rpc::TxnRequest request;
    addGet(&request, store_.keys.id());
    const auto response = store_.cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    return found(*response, 0) != nullptr;
}

Result<> EtcdBackend::ping(Deadline deadline) {
    rpc::TxnRequest request;
    addGet(&request, store_.keys.id())->set_count_only(true);
    const auto response = store_.cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    return {};
}

}  // namespace

Result<std::unique_ptr<DirectoryBackend>> openEtcdBackend(const std::string& servers,
                                                          const std::string& store,
                                                          const DirectoryOptions& options,
                                                          Counters* counters, Deadline deadline) {
    auto cluster = EtcdCluster::create(servers, options.attempt, counters);
    if (!cluster) return tl::unexpected<Error>(cluster.error());
    auto backend = std::make_unique<EtcdBackend>(std::move(*cluster), store, options, counters);
    if (!options.may_make) {
        const auto there = backend->exists(deadline);
        if (!there) return tl::unexpected<Error>(there.error());
        if (!*there) {
            return failed(Failure::kNotFound, "there is no store '" + store +
                                                  "' on this etcd; name the one that its nodes "
                                                  "use, as in etcd://host:port/store");
        }
    }
    const Uuid fresh = options.new_store.value_or(Uuid::random());
    if (auto opened = backend->openStore(store, fresh, deadline); !opened) {
        return tl::unexpected<Error>(opened.error());
    }
    return backend;
}

}  // namespace mooncake::store
