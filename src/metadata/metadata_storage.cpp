// SPDX-License-Identifier: Apache-2.0
#include "metadata_storage.h"

#include <algorithm>
#include <string_view>

#include "http_storage.h"
#include "p2p_storage.h"
#include "transfer_metadata.h"
#ifdef USE_ETCD
#include "etcd_storage.h"
#endif
#ifdef USE_REDIS
#include "redis_storage.h"
#endif

namespace mooncake {

namespace {

constexpr std::string_view kSupported =
    "this build supports http://host:port/metadata, https://host:port/metadata"
#ifdef USE_ETCD
    ", etcd://[https://]host:port[,...]"
#endif
#ifdef USE_REDIS
    ", redis://host:port"
#endif
    " and P2PHANDSHAKE";

template <typename Kind, typename... Arguments>
Status make(std::shared_ptr<MetadataStorage>* storage, const Arguments&... arguments) {
    std::unique_ptr<Kind> made;
    Status status = Kind::create(arguments..., &made);
    if (status.ok()) *storage = std::move(made);
    return status;
}

}  // namespace

std::string logExcerpt(const std::string& text) {
    std::string excerpt = text.substr(0, 200);
    std::replace_if(
        excerpt.begin(), excerpt.end(), [](char c) { return c < ' ' || c > '~'; }, '.');
    return excerpt;
}

Status createMetadataStorage(const std::string& conn_string, const StoreLimits& limits,
                             std::shared_ptr<MetadataStorage>* storage) {
    const std::string_view conn = conn_string;
    if (conn.starts_with("http://") || conn.starts_with("https://")) {
        return make<HttpStorage>(storage, conn_string, limits);
    }
    if (conn == P2PHANDSHAKE) {
        *storage = std::make_shared<P2pStorage>(limits);
        return Status::OK();
    }
    if (conn.empty()) {
        return Status::InvalidArgument("the metadata connection string is empty; " +
                                       std::string(kSupported));
    }
    const bool is_url = conn.find("://") != std::string_view::npos;
    const bool is_redis = conn.starts_with("redis://");
    const bool is_etcd =
        conn.starts_with("etcd://") || (!is_url && conn.find(':') != std::string_view::npos);
#ifdef USE_ETCD
    if (is_etcd) {
        EtcdAccess access;
        Status status = EtcdAccess::fromEnvironment(&access);
        if (!status.ok()) return status;
        return make<EtcdStorage>(storage, is_url ? conn_string.substr(7) : conn_string, access,
                                 limits);
    }
#endif
#ifdef USE_REDIS
    if (is_redis) {
        RedisLogin login;
        Status status = RedisLogin::fromEnvironment(&login);
        if (!status.ok()) return status;
        return make<RedisStorage>(storage, conn_string.substr(8), login, limits);
    }
#endif
    // What may hold a password is not repeated.
    const std::string name =
        conn.find('@') == std::string_view::npos
            ? "the metadata connection string '" + logExcerpt(conn_string) + "'"
            : "the metadata connection string";
    if (is_etcd || is_redis) {
        return Status::NotImplemented(name + " names a store that is not supported; " +
                                      std::string(kSupported));
    }
    return Status::InvalidArgument(name + " is malformed; " + std::string(kSupported));
}

}  // namespace mooncake
