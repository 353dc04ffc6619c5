// SPDX-License-Identifier: Apache-2.0
#include "etcd_clients.h"

#include <cstdlib>

#include "random_id.h"

namespace mooncake::store {

namespace {

// The server's clock and this one may run at different rates.
constexpr auto kLeaseMargin = std::chrono::milliseconds(300);

int64_t seconds(std::chrono::milliseconds time) {
    return std::chrono::ceil<std::chrono::seconds>(time).count();
}

}  // namespace

Result<ClientRecords::Joined> EtcdClients::add(const std::string& node, Deadline deadline) {
    const ClientId client = randomId();
    const auto before = BootClock::now();
    const auto granted =
        store_->cluster->grantLease(static_cast<int64_t>(client), seconds(lease_), deadline);
    if (!granted) return tl::unexpected<Error>(granted.error());
    rpc::TxnRequest request;
    ifValue(&request, store_->keys.id(), *id_);
    addPut(&request, store_->keys.client(client), node, static_cast<int64_t>(client));
    const auto response = store_->cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    if (!response->succeeded()) {
        (void)store_->cluster->revokeLease(static_cast<int64_t>(client), deadline);
        return failed(Failure::kUnavailable,
                      "the directory on etcd was emptied or replaced while it was in use; make it "
                      "again from the store's files, and restart the processes that use it");
    }
    return Joined{client, before + std::chrono::seconds(*granted) - kLeaseMargin};
}

Result<> EtcdClients::remove(ClientId client, Deadline deadline) {
    return store_->cluster->revokeLease(static_cast<int64_t>(client), deadline);
}

Result<BootClock::time_point> EtcdClients::renew(ClientId client, Deadline deadline) {
    const auto before = BootClock::now();
    const auto left = store_->cluster->keepAlive(static_cast<int64_t>(client), deadline);
    if (!left) return tl::unexpected<Error>(left.error());
    if (*left <= 0) {
        return failed(Failure::kLeaseLost,
                      "client " + std::to_string(client) +
                          " was silent for longer than its lease and is none any more; it has to "
                          "join again");
    }
    return before + std::chrono::seconds(*left) - kLeaseMargin;
}

Result<std::vector<ClientInfo>> EtcdClients::list(Deadline deadline) {
    rpc::TxnRequest request;
    addList(&request, store_->keys.clients());
    const auto response = store_->cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    std::vector<ClientInfo> found;
    for (const rpc::KeyValue& one : response->responses(0).response_range().kvs()) {
        const std::string id = one.key().substr(store_->keys.clients().size());
        found.push_back({std::strtoull(id.c_str(), nullptr, 10), one.value()});
    }
    return found;
}

}  // namespace mooncake::store
