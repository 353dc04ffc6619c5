// SPDX-License-Identifier: Apache-2.0
#include "http_storage.h"

#include <glog/logging.h>

#include <utility>

#include "metadata_keys.h"
#include "store_retry.h"
#include "versioned_exchange.h"

namespace mooncake {

namespace {

// What a server, or a proxy before it, says when it cannot answer at the moment.
bool isPassing(long status) {
    return status == 408 || status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Status HttpStorage::create(const std::string& url, const HttpTls& tls,
                           const std::shared_ptr<BearerToken>& token, const StoreLimits& limits,
                           std::unique_ptr<HttpStorage>* storage) {
    Status status = checkHttpUrl(url);
    if (!status.ok()) return status;
    const bool encrypted = url.starts_with("https://");
    if (tls.isSet() && !encrypted) {
        return Status::InvalidArgument(
            "MC_METADATA_CACERT or MC_METADATA_CERT is set, and the metadata URL asks for no TLS; "
            "it must read https://host:port/metadata");
    }
    if (token && !encrypted) {
        LOG_FIRST_N(WARNING, 1) << "The token for the metadata server goes unencrypted over the "
                                   "wire; use https:// outside a network that you trust";
    }
    storage->reset(new HttpStorage(url, tls, token, limits));
    return status;
}

Status HttpStorage::create(const std::string& url, const StoreLimits& limits,
                           std::unique_ptr<HttpStorage>* storage) {
    HttpTls tls;
    std::shared_ptr<BearerToken> token;
    Status status = HttpTls::fromEnvironment("MC_METADATA", &tls);
    if (status.ok()) status = BearerToken::fromEnvironment(&token);
    return status.ok() ? create(url, tls, token, limits, storage) : status;
}

MetadataStorage::Result HttpStorage::get(const std::string& key, std::string* value) {
    HttpResponse response;
    Result result = request(HttpMethod::kGet, key, "", "", &response);
    if (result.ok()) *value = std::move(response.body);
    return result;
}

MetadataStorage::Result HttpStorage::set(const std::string& key, const std::string& value) {
    HttpResponse response;
    return request(HttpMethod::kPut, key, value, "", &response);
}

MetadataStorage::Result HttpStorage::remove(const std::string& key) {
    HttpResponse response;
    return request(HttpMethod::kDelete, key, "", "", &response);
}

MetadataStorage::Result HttpStorage::exchange(const std::string& key, const Entry& expected,
                                              const Entry& desired, Entry* found) {
    const auto look = [&](Entry* now, std::string* tag) {
        HttpResponse response;
        Result result = request(HttpMethod::kGet, key, "", "", &response);
        if (!result.ok()) return result;
        *now = std::move(response.body);
        *tag = std::move(response.etag);
        return result;
    };
    const auto change = [&](const Entry& now, const std::string& tag) {
        std::string condition;
        if (!now) condition = "If-None-Match: *";
        // A weak tag never matches.
        if (tag.starts_with('"')) condition = "If-Match: " + tag;
        HttpResponse response;
        if (!desired) return request(HttpMethod::kDelete, key, "", condition, &response);
        Result result = request(HttpMethod::kPut, key, *desired, condition, &response);
        if (result.outcome != Outcome::kRefused || !now || !tag.empty() || !isAddressKey(key)) {
            return result;
        }
        return replaceWriteOnce(key, *now, *desired, std::move(result));
    };
    return exchangeByVersion<std::string>(key, expected, desired, found, look, change);
}

// Some servers take the address of a node once, and refuse another until it is removed. Where they
// refuse it even then, they get back what they had.
MetadataStorage::Result HttpStorage::replaceWriteOnce(const std::string& key,
                                                      const std::string& before,
                                                      const std::string& value, Result refusal) {
    const Result removed = remove(key);
    if (!removed.ok() && removed.outcome != Outcome::kNotFound) return refusal;
    Result result = set(key, value);
    if (!result.ok()) set(key, before);
    return result;
}

MetadataStorage::Result HttpStorage::request(HttpMethod method, const std::string& key,
                                             const std::string& body, const std::string& condition,
                                             HttpResponse* response) {
    const std::string url = url_ + "?key=" + percentEncode(key);
    return withRetries(limits_, &health_, [&](std::chrono::milliseconds time) -> StoreAttempt {
        const Status status = client_.request(method, url, body, time, response, "", condition);
        if (!status.ok()) {
            return {{Outcome::kFailed, std::string(status.message())}, status.IsSocket()};
        }
        if (response->status == 200 ||
            (method != HttpMethod::kGet && response->status / 100 == 2)) {
            return {};
        }
        std::string error = std::string(httpMethodName(method)) + " " + url +
                            ": the server answered " + std::to_string(response->status);
        if (method != HttpMethod::kPut && response->status == 404) {
            return {{Outcome::kNotFound, std::move(error)}};
        }
        if (!condition.empty() && response->status == 412) return {conflict(key)};
        if (!response->body.empty()) error += " (" + logExcerpt(response->body) + ")";
        if (response->status / 100 == 3) error += "; redirects are not followed";
        if (response->status == 401) error += "; check MC_METADATA_TOKEN_FILE";
        const bool passing = isPassing(response->status);
        const bool refused = response->status / 100 == 4 && !passing;
        return {{refused ? Outcome::kRefused : Outcome::kFailed, std::move(error)}, passing};
    });
}

}  // namespace mooncake
