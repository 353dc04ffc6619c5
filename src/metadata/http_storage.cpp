// SPDX-License-Identifier: Apache-2.0
#include "http_storage.h"

#include <algorithm>

namespace mooncake {

namespace {

// The beginning of what a server answered, fit for a log line.
std::string excerpt(const std::string& body) {
    std::string text = body.substr(0, 200);
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '.');
    return text;
}

}  // namespace

Status HttpStorage::create(const std::string& url, const HttpLimits& limits,
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
                                             const std::string& body, std::string* value) const {
    const std::string url = url_ + "?key=" + percentEncode(key);
    HttpResponse response;
    const Status status = httpRequest(method, url, body, limits_, &response);
    if (!status.ok()) return {Outcome::kFailed, std::string(status.message())};
    if (response.status == 200 || (method != HttpMethod::kGet && response.status / 100 == 2)) {
        if (value != nullptr) *value = std::move(response.body);
        return {};
    }
    std::string error = std::string(httpMethodName(method)) + " " + url + ": the server answered " +
                        std::to_string(response.status);
    if (method != HttpMethod::kPut && response.status == 404) {
        return {Outcome::kNotFound, std::move(error)};
    }
    if (!response.body.empty()) error += " (" + excerpt(response.body) + ")";
    if (response.status / 100 == 3) error += "; redirects are not followed";
    const bool refused =
        response.status / 100 == 4 && response.status != 408 && response.status != 429;
    return {refused ? Outcome::kRefused : Outcome::kFailed, std::move(error)};
}

}  // namespace mooncake
