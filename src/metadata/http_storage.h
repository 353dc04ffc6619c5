// SPDX-License-Identifier: Apache-2.0
// Metadata on an HTTP server: one URL, the key in its query, the value in the body. A server that
// answers entity tags is taken to keep to If-Match and If-None-Match (RFC 9110).
#pragma once

#include "http_client.h"
#include "metadata_storage.h"
#include "store_health.h"

namespace mooncake {

class HttpStorage : public MetadataStorage {
 public:
    // `url` is the server's, without a query. InvalidArgument where it is none, and for
    // certificates without https. Does not connect.
    static Status create(const std::string& url, const HttpTls& tls,
                         const std::shared_ptr<BearerToken>& token, const StoreLimits& limits,
                         std::unique_ptr<HttpStorage>* storage);
    // With the certificates and the token that the environment names (MC_METADATA_...).
    static Status create(const std::string& url, const StoreLimits& limits,
                         std::unique_ptr<HttpStorage>* storage);

    Result get(const std::string& key, std::string* value) override;
    Result set(const std::string& key, const std::string& value) override;
    Result remove(const std::string& key) override;
    Result exchange(const std::string& key, const Entry& expected, const Entry& desired,
                    Entry* found) override;

 private:
    HttpStorage(std::string url, const HttpTls& tls, const std::shared_ptr<BearerToken>& token,
                const StoreLimits& limits)
        : url_(std::move(url)), limits_(limits), client_(limits, tls, token) {}

    Result request(HttpMethod method, const std::string& key, const std::string& body,
                   const std::string& condition, HttpResponse* response);
    Result replaceWriteOnce(const std::string& key, const std::string& before,
                            const std::string& value, Result refusal);

    const std::string url_;
    const StoreLimits limits_;
    HttpClient client_;
    StoreHealth health_;
};

}  // namespace mooncake
