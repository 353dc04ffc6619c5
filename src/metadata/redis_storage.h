// SPDX-License-Identifier: Apache-2.0
// Metadata in Redis: one string per key, with GET, SET, DEL and, for what is done on condition,
// EVAL.
#pragma once

#include <string>

#include "endpoints.h"
#include "idle_pool.h"
#include "metadata_storage.h"
#include "redis_connection.h"
#include "secret_text.h"
#include "store_health.h"

namespace mooncake {

struct RedisLogin {
    SecretText user;      // empty: the server's default user
    SecretText password;  // empty: no login
    int database = 0;

    // From MC_REDIS_USERNAME and MC_REDIS_PASSWORD, each of them or the file that it names with
    // _FILE behind it, and MC_REDIS_DB_INDEX (0 to 255); what is unset or empty counts as not
    // given. InvalidArgument for a malformed number, for a file that readSecretFile refuses, and
    // for a user without a password. Not to be called while another thread changes the environment.
    static Status fromEnvironment(RedisLogin* login);
};

class RedisStorage : public MetadataStorage {
 public:
    // `server` is host[:port]; the port is 6379 where it is missing. InvalidArgument for a
    // malformed one. Does not connect.
    static Status create(const std::string& server, const RedisLogin& login,
                         const StoreLimits& limits, std::unique_ptr<RedisStorage>* storage);

    Result get(const std::string& key, std::string* value) override;
    Result set(const std::string& key, const std::string& value) override;
    Result remove(const std::string& key) override;
    Result exchange(const std::string& key, const Entry& expected, const Entry& desired,
                    Entry* found) override;

 private:
    RedisStorage(StoreEndpoint server, RedisLogin login, const StoreLimits& limits)
        : server_(std::move(server)), login_(std::move(login)), limits_(limits) {}

    Result command(const std::string& key, const std::vector<std::string>& words,
                   RedisReply* reply);
    Status open(RedisConnection::Time deadline, std::unique_ptr<RedisConnection>* connection);

    const StoreEndpoint server_;
    const RedisLogin login_;
    const StoreLimits limits_;
    IdlePool<RedisConnection> idle_;
    StoreHealth health_;
};

}  // namespace mooncake
