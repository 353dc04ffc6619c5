// SPDX-License-Identifier: Apache-2.0
#include "http_storage.h"

#include <utility>

#include "store_retry.h"

namespace mooncake {

namespace {

// What a server, or a proxy before it, says when it cannot answer at the moment.
bool isPassing(long status) {
    return status == 408 || status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

Status HttpStorage::create(const std::string& url, const StoreLimits& limits,
                           std::unique_ptr<HttpStorage>* storage) {
    Status status = checkHttpUrl(url);
    if (status.ok()) storage->reset(new HttpStorage(url, limits));
    return status;
}

MetadataStorage::Result HttpStorage::get(const std::string& key, std::string* value) {
    return request(HttpMethod::kGet, key, std::string(), value);
}

MetadataStorage::Result HttpStorage::set(const std::string& key, const std::string& value) {
    return request(HttpMethod::kPut, key, value, nullptr);
}

MetadataStorage::Result HttpStorage::remove(const std::string& key) {
    return request(HttpMethod::kDelete, key, std::string(), nullptr);
}

MetadataStorage::Result HttpStorage::request(HttpMethod method, const std::string& key,
                                             const std::string& body, std::string* value) {
    const std::string url = url_ + "?key=" + percentEncode(key);
    return withRetries(limits_, [&](std::chrono::milliseconds time) -> StoreAttempt {
        HttpResponse response;
        const Status status = client_.request(method, url, body, time, &response);
        if (!status.ok()) {
            return {{Outcome::kFailed, std::string(status.message())}, status.IsSocket()};
        }
        if (response.status == 200 || (method != HttpMethod::kGet && response.status / 100 == 2)) {
            if (value != nullptr) *value = std::move(response.body);
            return {};
        }
        std::string error = std::string(httpMethodName(method)) + " " + url +
                            ": the server answered " + std::to_string(response.status);
        if (method != HttpMethod::kPut && response.status == 404) {
            return {{Outcome::kNotFound, std::move(error)}};
        }
        if (!response.body.empty()) error += " (" + logExcerpt(response.body) + ")";
        if (response.status / 100 == 3) error += "; redirects are not followed";
        const bool passing = isPassing(response.status);
        const bool refused = response.status / 100 == 4 && !passing;
        return {{refused ? Outcome::kRefused : Outcome::kFailed, std::move(error)}, passing};
    });
}

}  // namespace mooncake
