// SPDX-License-Identifier: Apache-2.0
#include "redis_storage.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "common.h"
#include "secret_file.h"
#include "store_retry.h"

namespace mooncake {

namespace {

constexpr uint16_t kDefaultPort = 6379;
constexpr int kMaxDatabase = 255;

// MetadataStorage::exchange, which the server does in one step: KEYS[1] is the key, ARGV[1] and [2]
// what is expected there, [3] and [4] what is to be there; the first of each pair is 1 for the
// bytes in the second, 0 for nothing. 1, or what is there instead.
constexpr char kExchange[] = R"(
local now = redis.call('GET', KEYS[1])
local function has(flag, value)
    if flag == '1' then return now == value end
    return not now
end
if has(ARGV[3], ARGV[4]) then return 1 end
if not has(ARGV[1], ARGV[2]) then return now end
if ARGV[3] == '1' then
    redis.call('SET', KEYS[1], ARGV[4])
else
    redis.call('DEL', KEYS[1])
end
return 1
)";

std::string textOf(const redisReply& reply) {
    return std::string(reply.str, static_cast<size_t>(reply.len));
}

// Errors that go away by themselves: a server that starts, fails over, or runs a script.
bool isPassing(const std::string& error) {
    for (const char* prefix : {"LOADING", "BUSY ", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN"}) {
        if (error.starts_with(prefix)) return true;
    }
    return false;
}

}  // namespace

Status RedisLogin::fromEnvironment(RedisLogin* login) {
    Status status = secretFromEnvironment("MC_REDIS_USERNAME", &login->user);
    if (status.ok()) status = secretFromEnvironment("MC_REDIS_PASSWORD", &login->password);
    if (!status.ok()) return status;
    login->database = 0;
    if (!login->user.empty() && login->password.empty()) {
        return Status::InvalidArgument(
            "MC_REDIS_USERNAME is set and MC_REDIS_PASSWORD is not; set both, or neither");
    }
    const std::string index = environmentText("MC_REDIS_DB_INDEX");
    if (index.empty()) return Status::OK();
    const auto number = parseFromString<int>(index);
    if (!number || *number < 0 || *number > kMaxDatabase) {
        return Status::InvalidArgument("MC_REDIS_DB_INDEX is '" + logExcerpt(index) +
                                       "'; it takes a whole number from 0 to " +
                                       std::to_string(kMaxDatabase));
    }
    login->database = *number;
    return Status::OK();
}

Status RedisStorage::create(const std::string& server, const RedisLogin& login,
                            const StoreLimits& limits, std::unique_ptr<RedisStorage>* storage) {
    // Nothing of such an address is repeated in a message.
    if (server.find('@') != std::string::npos) {
        return Status::InvalidArgument(
            "the Redis address holds a user name or password; set MC_REDIS_USERNAME and "
            "MC_REDIS_PASSWORD instead");
    }
    if (server.find('/') != std::string::npos) {
        return Status::InvalidArgument(
            "the Redis address holds a slash; it must read redis://host:port, and the database "
            "number is set in MC_REDIS_DB_INDEX");
    }
    std::vector<StoreEndpoint> endpoints;
    Status status = parseEndpoints("the Redis address", server, kDefaultPort, &endpoints);
    if (status.ok() && endpoints.size() != 1) {
        status =
            Status::InvalidArgument("the Redis address names " + std::to_string(endpoints.size()) +
                                    " servers; it takes one");
    }
    if (status.ok()) storage->reset(new RedisStorage(endpoints[0], login, limits));
    return status;
}

MetadataStorage::Result RedisStorage::get(const std::string& key, std::string* value) {
    RedisReply reply;
    Result result = command(key, {"GET", key}, &reply);
    if (!result.ok()) return result;
    const std::string what = "Redis GET of '" + key + "' at " + server_.text() + ": ";
    if (reply->type == REDIS_REPLY_NIL) return {Outcome::kNotFound, what + "there is no such key"};
    if (reply->type != REDIS_REPLY_STRING) return {Outcome::kFailed, what + "the reply is no text"};
    value->assign(reply->str, static_cast<size_t>(reply->len));
    return {};
}

MetadataStorage::Result RedisStorage::set(const std::string& key, const std::string& value) {
    RedisReply reply;
    Result result = command(key, {"SET", key, value}, &reply);
    if (result.ok() && reply->type != REDIS_REPLY_STATUS) {
        return {Outcome::kFailed,
                "Redis SET of '" + key + "' at " + server_.text() + ": the reply is not OK"};
    }
    return result;
}

MetadataStorage::Result RedisStorage::remove(const std::string& key) {
    RedisReply reply;
    Result result = command(key, {"DEL", key}, &reply);
    if (!result.ok()) return result;
    const std::string what = "Redis DEL of '" + key + "' at " + server_.text() + ": ";
    if (reply->type != REDIS_REPLY_INTEGER)
        return {Outcome::kFailed, what + "the reply is no number"};
    if (reply->integer == 0) return {Outcome::kNotFound, what + "there is no such key"};
    return {};
}

MetadataStorage::Result RedisStorage::exchange(const std::string& key, const Entry& expected,
                                               const Entry& desired, Entry* found) {
    const auto flag = [](const Entry& entry) { return std::string(entry ? "1" : "0"); };
    RedisReply reply;
    Result result = command(key,
                            {"EVAL", kExchange, "1", key, flag(expected), expected.value_or(""),
                             flag(desired), desired.value_or("")},
                            &reply);
    if (!result.ok()) return result;
    switch (reply->type) {
        case REDIS_REPLY_INTEGER:
            return {};
        case REDIS_REPLY_NIL:
            found->reset();
            return conflict(key);
        case REDIS_REPLY_STRING:
            *found = textOf(*reply);
            return conflict(key);
        default:
            return {Outcome::kFailed, "Redis EVAL of '" + key + "' at " + server_.text() +
                                          ": the reply is neither a number nor a value"};
    }
}

// A connection that is logged in. InvalidArgument where the server says that it is not to be.
Status RedisStorage::open(RedisConnection::Time deadline,
                          std::unique_ptr<RedisConnection>* connection) {
    // A reply is one value and a few bytes of framing.
    auto opened = std::make_unique<RedisConnection>(limits_.answer_bytes + 64);
    Status status = opened->connect(
        server_, std::min(deadline, std::chrono::steady_clock::now() + limits_.connect));
    const auto step = [&](const std::vector<std::string_view>& words, const char* remedy) {
        if (!status.ok()) return;
        RedisReply reply;
        status = opened->command(words, deadline, &reply);
        if (!status.ok() || reply->type != REDIS_REPLY_ERROR) return;
        const std::string error = textOf(*reply);
        status = isPassing(error)
                     ? Status::Socket(error)
                     : Status::InvalidArgument(std::string(words[0]) + ": " + logExcerpt(error) +
                                               "; check " + remedy);
    };
    if (!login_.password.empty()) {
        std::vector<std::string_view> words = {"AUTH"};
        if (!login_.user.empty()) words.push_back(login_.user.view());
        words.push_back(login_.password.view());
        step(words, "MC_REDIS_USERNAME and MC_REDIS_PASSWORD");
    }
    if (login_.database != 0) {
        step({"SELECT", std::to_string(login_.database)}, "MC_REDIS_DB_INDEX");
    }
    if (status.ok()) *connection = std::move(opened);
    return status;
}

MetadataStorage::Result RedisStorage::command(const std::string& key,
                                              const std::vector<std::string>& words,
                                              RedisReply* reply) {
    const std::string what = "Redis " + words[0] + " of '" + key + "' at " + server_.text() + ": ";
    const std::vector<std::string_view> views(words.begin(), words.end());
    return withRetries(limits_, &health_, [&](std::chrono::milliseconds time) -> StoreAttempt {
        const auto deadline = std::chrono::steady_clock::now() + time;
        std::unique_ptr<RedisConnection> connection = idle_.take();
        const bool kept = connection != nullptr;
        Status status;
        if (!kept) status = open(deadline, &connection);
        if (status.ok()) status = connection->command(views, deadline, reply);
        if (kept && status.IsSocket()) {
            // The server has been restarted, or closed what was idle. That is no failure.
            idle_.clear();
            status = open(deadline, &connection);
            if (status.ok()) status = connection->command(views, deadline, reply);
        }
        if (!status.ok()) {
            return {{status.IsInvalidArgument() ? Outcome::kRefused : Outcome::kFailed,
                     what + std::string(status.message())},
                    status.IsSocket() || status.IsDns()};
        }
        idle_.put(std::move(connection));
        if ((*reply)->type == REDIS_REPLY_ERROR) {
            const std::string error = textOf(**reply);
            const bool passing = isPassing(error);
            std::string text = what + logExcerpt(error);
            if (error.starts_with("NOAUTH")) text += "; set MC_REDIS_PASSWORD";
            if (error.starts_with("NOPERM")) {
                text +=
                    "; the user needs the commands get, set, del and eval on keys that begin "
                    "with mooncake/";
            }
            return {{passing ? Outcome::kFailed : Outcome::kRefused, std::move(text)}, passing};
        }
        return {};
    });
}

}  // namespace mooncake
