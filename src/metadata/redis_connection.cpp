// SPDX-License-Identifier: Apache-2.0
#include "redis_connection.h"

#include <hiredis/hiredis.h>

#include <cstring>

namespace mooncake {

void RedisReplyDeleter::operator()(redisReply* reply) const {
    freeReplyObject(reply);
}

void RedisConnection::ReaderDeleter::operator()(redisReader* reader) const {
    redisReaderFree(reader);
}

Status RedisConnection::connect(const StoreEndpoint& endpoint, Time deadline) {
    reader_.reset(redisReaderCreate());
    if (!reader_) return Status::Memory("no memory for a connection");
    return socket_.connect(endpoint, deadline);
}

// hiredis writes and reads the protocol; its own sockets would count their time limit afresh with
// each byte that comes.
Status RedisConnection::command(const std::vector<std::string_view>& words, Time deadline,
                                RedisReply* reply) {
    std::vector<const char*> parts;
    std::vector<size_t> sizes;
    for (const std::string_view word : words) {
        parts.push_back(word.data());
        sizes.push_back(word.size());
    }
    char* text = nullptr;
    const int size =
        redisFormatCommandArgv(&text, static_cast<int>(parts.size()), parts.data(), sizes.data());
    if (size < 0) return Status::Memory("no memory for a command");
    Status status = socket_.send(std::string_view(text, static_cast<size_t>(size)), deadline);
    explicit_bzero(text, static_cast<size_t>(size));  // there may be a password in it
    redisFreeCommand(text);

    size_t received = 0;
    while (status.ok()) {
        std::string bytes;
        status = socket_.receive(SIZE_MAX, deadline, &bytes);
        if (!status.ok()) break;
        received += bytes.size();
        if (received > reply_bytes_) {
            return Status::Metadata("the reply is larger than " + std::to_string(reply_bytes_) +
                                    " bytes");
        }
        void* complete = nullptr;
        if (redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK ||
            redisReaderGetReply(reader_.get(), &complete) != REDIS_OK) {
            return Status::Metadata(std::string("the reply is not Redis's: ") + reader_->errstr);
        }
        if (complete != nullptr) {
            reply->reset(static_cast<redisReply*>(complete));
            // Else the next command would take the rest for its own reply.
            if (reader_->pos < reader_->len) return Status::Metadata("there is more than a reply");
            return Status::OK();
        }
    }
    return status;
}

}  // namespace mooncake
