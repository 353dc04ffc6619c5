// SPDX-License-Identifier: Apache-2.0
#include "etcd_storage.h"

#include <json/value.h>

#include <algorithm>
#include <utility>

#include "base64.h"
#include "bounded_json.h"
#include "common.h"
#include "etcd_address.h"
#include "metadata_codec.h"
#include "store_retry.h"
#include "versioned_exchange.h"

namespace mooncake {

namespace {

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

// The server has restarted, the token is too old, or users have changed since.
bool isOldToken(const HttpResponse& response) {
    return response.status == 401 ||
           (response.status == 400 &&
            response.body.find("revision of auth store is old") != std::string::npos);
}

bool isTooLarge(const std::string& answer) {
    return answer.find("request is too large") != std::string::npos ||
           answer.find("message larger than max") != std::string::npos;
}

// What to do about a refusal that is not about the request.
const char* remedyFor(const std::string& answer, bool has_user) {
    if (isTooLarge(answer)) {
        return "; the descriptor is larger than etcd takes, raise its --max-request-bytes or "
               "register fewer files";
    }
    if (!has_user && answer.find("user name is empty") != std::string::npos) {
        return "; this etcd asks for a login, set MC_ETCD_USERNAME and MC_ETCD_PASSWORD";
    }
    if (answer.find("permission denied") != std::string::npos) {
        return "; grant the user's role to read and write the keys that begin with mooncake/";
    }
    return "";
}

// As a string of JSON. The library's own function leaves copies behind.
void appendQuoted(const SecretText& text, SecretText* json) {
    constexpr char kHex[] = "0123456789abcdef";
    json->append("\"");
    for (const char& c : text.view()) {
        if (c == '"' || c == '\\') {
            json->append("\\").append({&c, 1});
        } else if (static_cast<unsigned char>(c) < ' ') {
            const char escape[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
            json->append({escape, sizeof(escape)});
        } else {
            json->append({&c, 1});
        }
    }
    json->append("\"");
}

// Zero would mean "no limit" to those who get it.
std::chrono::milliseconds timeUntil(std::chrono::steady_clock::time_point end) {
    return std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(
                                                      end - std::chrono::steady_clock::now()));
}

StoreLimits withAnswers(StoreLimits limits) {
    limits.answer_bytes = limits.answer_bytes / 3 * 4 + 65536;
    return limits;
}

}  // namespace

Status EtcdStorage::create(const std::string& list, const EtcdAccess& access,
                           const StoreLimits& limits, std::unique_ptr<EtcdStorage>* storage) {
    EtcdAddress address;
    Status status = parseEtcdAddress(list, access, &address);
    if (status.ok()) {
        storage->reset(
            new EtcdStorage(address.tls ? "https" : "http", address.endpoints, access, limits));
    }
    return status;
}

EtcdStorage::EtcdStorage(const std::string& scheme, const std::vector<StoreEndpoint>& endpoints,
                         EtcdAccess access, const StoreLimits& limits)
    : access_(std::move(access)), limits_(limits), client_(withAnswers(limits), access_.tls) {
    for (const StoreEndpoint& endpoint : endpoints) {
        servers_.push_back(scheme + "://" + endpoint.text());
    }
}

MetadataStorage::Result EtcdStorage::get(const std::string& key, std::string* value) {
    std::string revision;
    return find(key, value, &revision);
}

// *revision receives the number of the entry's last change, in decimal digits as etcd writes it.
MetadataStorage::Result EtcdStorage::find(const std::string& key, std::string* value,
                                          std::string* revision) {
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
    const Json::Value changed = first.isObject() ? first.get("mod_revision", "") : Json::Value();
    if (!text.isString() || !base64Decode(text.asString(), &bytes) || !changed.isString()) {
        return notEtcd("range", key, answer);
    }
    *value = std::move(bytes);
    *revision = changed.asString();
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

MetadataStorage::Result EtcdStorage::exchange(const std::string& key, const Entry& expected,
                                              const Entry& desired, Entry* found) {
    const auto look = [&](Entry* now, std::string* revision) {
        std::string value;
        Result result = find(key, &value, revision);
        if (result.ok()) *now = std::move(value);
        return result;
    };
    // By revision: a comparison with the bytes would make the request twice as large, and etcd's
    // limit of it half.
    const auto change = [&](const Entry& now, const std::string& revision) -> Result {
        if (now && !parseFromString<uint64_t>(revision)) {
            return notEtcd("txn", key, "revision " + revision);
        }
        const std::string operation =
            desired ? R"({"request_put":)" + requestBody(key, &*desired)
                    : R"({"request_delete_range":)" + requestBody(key, nullptr);
        const std::string body = R"({"compare":[{"target":"MOD","result":"EQUAL","key":")" +
                                 base64Encode(key) + R"(","mod_revision":")" +
                                 (now ? revision : "0") + R"("}],"success":[)" + operation + "}]}";
        std::string answer;
        Result result = request("txn", key, body, &answer);
        if (!result.ok()) return result;
        Json::Value root;
        result = parseAnswer("txn", key, answer, &root);
        if (!result.ok()) return result;
        const Json::Value succeeded = root.get("succeeded", false);
        if (!succeeded.isBool()) return notEtcd("txn", key, answer);
        return succeeded.asBool() ? Result{} : conflict(key);
    };
    return exchangeByVersion<std::string>(key, expected, desired, found, look, change);
}

Status EtcdStorage::logIn(const std::string& server, Time end, HttpResponse* response) {
    SecretText body("{\"name\":");
    appendQuoted(access_.user, &body);
    body.append(",\"password\":");
    appendQuoted(access_.password, &body);
    body.append("}");
    Status status = client_.request(HttpMethod::kPost, server + "/v3/auth/authenticate",
                                    body.view(), timeUntil(end), response);
    if (!status.ok() || response->status != 200) return status;
    Json::Value root;
    const bool parsed = parseBoundedObject(response->body, kBounds, &root).ok();
    const Json::Value text = parsed ? root["token"] : Json::Value();
    const std::string token = text.isString() ? text.asString() : "";
    // It becomes part of a header.
    if (token.empty() ||
        std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c > '~'; })) {
        return Status::Metadata(server + "/v3/auth/authenticate: the answer has no token");
    }
    std::lock_guard lock(mutex_);
    token_ = token;
    return status;
}

// One request to one server, after a login where there is to be one. What refuses the login is the
// response, too.
Status EtcdStorage::exchange(const std::string& server, const char* operation,
                             const std::string& body, Time end, HttpResponse* response) {
    const std::string url = server + "/v3/kv/" + operation;
    for (bool logged_in = false;; logged_in = true) {
        std::string token;
        {
            std::lock_guard lock(mutex_);
            token = token_;
        }
        if (token.empty() && !access_.user.empty()) {
            const Status status = logIn(server, end, response);
            if (!status.ok()) return status;
            if (response->status == 200) {
                std::lock_guard lock(mutex_);
                token = token_;
            } else if (response->body.find("authentication is not enabled") == std::string::npos) {
                return status;
            }
            logged_in = true;
        }
        const Status status =
            client_.request(HttpMethod::kPost, url, body, timeUntil(end), response, token);
        if (!status.ok() || token.empty() || !isOldToken(*response)) return status;
        {
            std::lock_guard lock(mutex_);
            if (token_ == token) token_.clear();
        }
        if (logged_in) return status;
    }
}

MetadataStorage::Result EtcdStorage::request(const char* operation, const std::string& key,
                                             const std::string& body, std::string* answer) {
    const std::string what = describe(operation, key);
    return withRetries(limits_, &health_, [&](std::chrono::milliseconds time) -> StoreAttempt {
        const auto end = std::chrono::steady_clock::now() + time;
        const size_t first = preferred_.load(std::memory_order_relaxed);
        std::string errors;
        for (size_t i = 0; i < servers_.size(); ++i) {
            const size_t place = (first + i) % servers_.size();
            const std::string& server = servers_[place];
            // An endpoint that is silent leaves time for the others.
            const auto now = std::chrono::steady_clock::now();
            const Time share = now + (end - now) / static_cast<int64_t>(servers_.size() - i);
            HttpResponse response;
            const Status status = exchange(server, operation, body, share, &response);
            std::string error;
            if (!status.ok()) {
                error = status.message();
            } else if (response.status == 200) {
                preferred_.store(place, std::memory_order_relaxed);
                *answer = std::move(response.body);
                return {};
            } else {
                error = server + ": the server answered " + std::to_string(response.status) + " (" +
                        logExcerpt(response.body) + ")" +
                        remedyFor(response.body, !access_.user.empty());
                // Every other endpoint of the cluster would say the same. The gateway gives 429
                // for what its own limit is too small for, too.
                if (isTooLarge(response.body) ||
                    (response.status / 100 == 4 && response.status != 408 &&
                     response.status != 429)) {
                    return {{Outcome::kRefused, what + error}};
                }
            }
            errors += (errors.empty() ? "" : "; ") + error;
        }
        return {{Outcome::kFailed, what + errors}, true};
    });
}

}  // namespace mooncake
