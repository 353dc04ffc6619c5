// SPDX-License-Identifier: Apache-2.0
// Metadata in etcd (API version 3), over the gRPC gateway that each etcd serves on its client port:
// POST /v3/kv/put, /v3/kv/range, /v3/kv/deleterange and /v3/kv/txn, keys and values in base64. With
// a user, POST /v3/auth/authenticate gives a token for the others, until the server forgets it.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "endpoints.h"
#include "etcd_access.h"
#include "http_client.h"
#include "metadata_storage.h"
#include "store_health.h"

namespace mooncake {

// Requests go to one endpoint as long as it answers, and from then on to the next one that does.
// Reads are linearizable: what one node has written, every node sees, whichever endpoint it asks.
class EtcdStorage : public MetadataStorage {
 public:
    // `list` is host:port[,host:port...], each with or each without https:// (or http://) before
    // it; the port is 2379 where it is missing. InvalidArgument for a malformed one, and for
    // certificates without https. Does not connect.
    static Status create(const std::string& list, const EtcdAccess& access,
                         const StoreLimits& limits, std::unique_ptr<EtcdStorage>* storage);

    Result get(const std::string& key, std::string* value) override;
    Result set(const std::string& key, const std::string& value) override;
    Result remove(const std::string& key) override;
    Result exchange(const std::string& key, const Entry& expected, const Entry& desired,
                    Entry* found) override;

 private:
    using Time = std::chrono::steady_clock::time_point;

    EtcdStorage(const std::string& scheme, const std::vector<StoreEndpoint>& endpoints,
                EtcdAccess access, const StoreLimits& limits);

    Result find(const std::string& key, std::string* value, std::string* revision);
    Result request(const char* operation, const std::string& key, const std::string& body,
                   std::string* answer);
    Status exchange(const std::string& server, const char* operation, const std::string& body,
                    Time end, HttpResponse* response);
    Status logIn(const std::string& server, Time end, HttpResponse* response);

    const EtcdAccess access_;
    std::vector<std::string> servers_;  // scheme://host:port
    const StoreLimits limits_;
    std::mutex mutex_;
    std::string token_;  // guarded by mutex_; empty: to be asked for
    HttpClient client_;
    StoreHealth health_;
    // Where the last answer came from. Relaxed: a hint, any value is right.
    std::atomic<size_t> preferred_{0};
};

}  // namespace mooncake
