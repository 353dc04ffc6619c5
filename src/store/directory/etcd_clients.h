// SPDX-License-Identifier: Apache-2.0
// Clients in etcd: each is one of its leases, and a key that goes with it.
#pragma once

#include <string>
#include <vector>

#include "directory_backend.h"
#include "etcd_store.h"

namespace mooncake::store {

class EtcdClients : public ClientRecords {
 public:
    // @param id  what stands under the store's id
    EtcdClients(const EtcdStore* store, const std::string* id, std::chrono::milliseconds lease)
        : store_(store), id_(id), lease_(lease) {}

    Result<Joined> add(const std::string& node, Deadline deadline) override;
    Result<> remove(ClientId client, Deadline deadline) override;
    Result<BootClock::time_point> renew(ClientId client, Deadline deadline) override;
    Result<std::vector<ClientInfo>> list(Deadline deadline) override;

 private:
    const EtcdStore* const store_;
    const std::string* const id_;
    const std::chrono::milliseconds lease_;
};

}  // namespace mooncake::store
