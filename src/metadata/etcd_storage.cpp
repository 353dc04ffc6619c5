// SPDX-License-Identifier: Apache-2.0
#include "etcd_storage.h"

#include <json/value.h>

#include <algorithm>
#include <utility>

#include "base64.h"
#include "bounded_json.h"
#include "metadata_codec.h"
#include "store_retry.h"

namespace mooncake {

namespace {

constexpr uint16_t kDefaultPort = 2379;

// An answer holds one value at most, in base64, and some members that tell the cluster's state.
constexpr size_t kAnswerBytes = kMaxDescriptorBytes / 3 * 4 + 65536;
constexpr JsonBounds kBounds = {kAnswerBytes, 16, 1000};

std::string requestBody(const std::string& key, const std::string* value) {
    // Base64 needs no escapes.
    std::string body = "{\"key\":\"" + base64Encode(key) + "\"";
    if (value != nullptr) body += ",\"value\":\"" + base64Encode(*value) + "\"";
    return body + "}";
}

std::string describe(const char* operation, const std::string& key) {
    return "etcd " + std::string(operation) + " of '" + key + "': ";
}

MetadataStorage::Result notEtcd(const char* operation, const std::string& key,
                                const std::string& answer) {
    return {MetadataStorage::Outcome::kFailed,
            describe(operation, key) + "the answer is not etcd's: " + logExcerpt(answer)};
}

// Something else that listens there may answer 200 to everything; etcd's answers have a header.
MetadataStorage::Result parseAnswer(const char* operation, const std::string& key,
                                    const std::string& answer, Json::Value* root) {
    if (!parseBoundedObject(answer, kBounds, root).ok() || !(*root)["header"].isObject()) {
        return notEtcd(operation, key, answer);
    }
    return {};
}

bool isTooLarge(const std::string& answer) {
    return answer.find("request is too large") != std::string::npos ||
           answer.find("message larger than max") != std::string::npos;
}

StoreLimits withAnswers(StoreLimits limits) {
    limits.answer_bytes = limits.answer_bytes / 3 * 4 + 65536;
    return limits;
}

}  // namespace

Status EtcdStorage::create(const std::string& list, const StoreLimits& limits,
                           std::unique_ptr<EtcdStorage>* storage) {
    std::vector<StoreEndpoint> endpoints;
    Status status = parseEndpoints("the etcd address", list, kDefaultPort, &endpoints);
    if (status.ok()) storage->reset(new EtcdStorage(endpoints, limits));
    return status;
}

EtcdStorage::EtcdStorage(const std::vector<StoreEndpoint>& endpoints, const StoreLimits& limits)
    : limits_(limits), client_(withAnswers(limits)) {
    for (const StoreEndpoint& endpoint : endpoints) {
        urls_.push_back("http://" + endpoint.text() + "/v3/kv/");
    }
}

MetadataStorage::Result EtcdStorage::get(const std::string& key, std::string* value) {
    std::string answer;
    Result result = request("range", key, requestBody(key, nullptr), &answer);
    if (!result.ok()) return result;
    Json::Value root;
    result = parseAnswer("range", key, answer, &root);
    if (!result.ok()) return result;
    const Json::Value& found = root["kvs"];
    if (found.isNull())
        return {Outcome::kNotFound, describe("range", key) + "there is no such key"};
    std::string bytes;
    // An empty value is left out.
    const Json::Value first =
        found.isArray() && found.size() == 1 ? found[Json::ArrayIndex{0}] : Json::Value();
    const Json::Value text = first.isObject() ? first.get("value", "") : Json::Value();
    if (!text.isString() || !base64Decode(text.asString(), &bytes)) {
        return notEtcd("range", key, answer);
    }
    *value = std::move(bytes);
    return {};
}

MetadataStorage::Result EtcdStorage::set(const std::string& key, const std::string& value) {
    std::string answer;
    Result result = request("put", key, requestBody(key, &value), &answer);
    if (!result.ok()) return result;
    Json::Value root;
    return parseAnswer("put", key, answer, &root);
}

MetadataStorage::Result EtcdStorage::remove(const std::string& key) {
    std::string answer;
    Result result = request("deleterange", key, requestBody(key, nullptr), &answer);
    if (!result.ok()) return result;
    Json::Value root;
    result = parseAnswer("deleterange", key, answer, &root);
    if (result.ok() && !root.isMember("deleted")) {
        return {Outcome::kNotFound, describe("deleterange", key) + "there is no such key"};
    }
    return result;
}

MetadataStorage::Result EtcdStorage::request(const char* operation, const std::string& key,
                                             const std::string& body, std::string* answer) {
    const std::string what = describe(operation, key);
    return withRetries(limits_, [&](std::chrono::milliseconds time) -> StoreAttempt {
        const auto end = std::chrono::steady_clock::now() + time;
        const size_t first = preferred_.load(std::memory_order_relaxed);
        std::string errors;
        for (size_t i = 0; i < urls_.size(); ++i) {
            const size_t place = (first + i) % urls_.size();
            // An endpoint that is silent leaves time for the others.
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(
                end - std::chrono::steady_clock::now());
            const auto share = std::max(std::chrono::milliseconds(1),
                                        left / static_cast<int64_t>(urls_.size() - i));
            HttpResponse response;
            const Status status = client_.request(HttpMethod::kPost, urls_[place] + operation, body,
                                                  share, &response);
            std::string error;
            if (!status.ok()) {
                error = status.message();
            } else if (response.status == 200) {
                preferred_.store(place, std::memory_order_relaxed);
                *answer = std::move(response.body);
                return {};
            } else {
                error = urls_[place] + operation + ": the server answered " +
                        std::to_string(response.status) + " (" + logExcerpt(response.body) + ")";
                // Every other endpoint of the cluster would say the same. The gateway gives 429
                // for what its own limit is too small for, too.
                if (isTooLarge(response.body)) {
                    return {{Outcome::kRefused,
                             what + error +
                                 "; the descriptor is larger than etcd takes, raise its "
                                 "--max-request-bytes or register fewer files"}};
                }
                if (response.status / 100 == 4 && response.status != 408 &&
                    response.status != 429) {
                    return {{Outcome::kRefused, what + error}};
                }
            }
            errors += (errors.empty() ? "" : "; ") + error;
        }
        return {{Outcome::kFailed, what + errors}, true};
    });
}

}  // namespace mooncake
