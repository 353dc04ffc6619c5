// SPDX-License-Identifier: Apache-2.0
// One connection to a Redis server: commands out, replies in.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "deadline_socket.h"

struct redisReader;
struct redisReply;

namespace mooncake {

struct RedisReplyDeleter {
    void operator()(redisReply* reply) const;
};
using RedisReply = std::unique_ptr<redisReply, RedisReplyDeleter>;

// One thread at a time. After an error it is of no further use.
class RedisConnection {
 public:
    using Time = DeadlineSocket::Time;

    // Replies beyond `reply_bytes` are errors.
    explicit RedisConnection(size_t reply_bytes) : reply_bytes_(reply_bytes) {}

    Status connect(const StoreEndpoint& endpoint, Time deadline);
    // Sends one command, its words as they are, and waits for the reply, also one that says error.
    // Socket, with the cause, where none comes; Metadata where what comes is not Redis's.
    Status command(const std::vector<std::string_view>& words, Time deadline, RedisReply* reply);

 private:
    struct ReaderDeleter {
        void operator()(redisReader* reader) const;
    };

    const size_t reply_bytes_;
    DeadlineSocket socket_;
    std::unique_ptr<redisReader, ReaderDeleter> reader_;
};

}  // namespace mooncake
