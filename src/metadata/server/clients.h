// SPDX-License-Identifier: Apache-2.0
// Who is connected to the server, and who has to go so that others are served.
#pragma once

#include <sys/socket.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "connection_crowd.h"

namespace mooncake {

// Every function may be called from any thread. A client that has to go finds its connection shut
// down; its thread notices with the next byte that it wants to read or write.
class Clients {
 public:
    using Id = ConnectionCrowd::Id;
    using Stage = ConnectionCrowd::Stage;

    // `pending_bytes`: of all requests that are not complete.
    Clients(const ConnectionCrowd::Limits& limits, size_t pending_bytes)
        : pending_limit_(pending_bytes), crowd_(limits) {}

    // Takes in a connection, once there is room (see ConnectionCrowd). `fd` stays the caller's, and
    // open until leave().
    Id enter(int fd, const sockaddr_storage& peer);
    void leave(Id id);

    void move(Id id, Stage stage);
    // Whether there is room for many more.
    bool areFew() const;
    // So many bytes of its request have come. Where all requests together have too many, the one
    // with the most goes; false where that is this one.
    bool grow(Id id, size_t bytes);
    // The request is complete, and what it brought is somebody else's to count.
    void release(Id id);

    // Cuts off everybody who has not asked completely, now and from now on.
    void close();

    struct Counts {
        size_t connections = 0;
        size_t pending_bytes = 0;
        uint64_t accepted = 0;
        uint64_t crowded_out = 0;  // too many connections, of a peer or in total
        uint64_t too_greedy = 0;   // too many bytes
    };
    Counts counts() const;

 private:
    struct Client {
        int fd = -1;
        Stage stage = Stage::kAsking;
        size_t pending = 0;
        bool cut = false;
    };

    void cut(Client* client);

    const size_t pending_limit_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    ConnectionCrowd crowd_;
    std::map<Id, Client> clients_;
    Id next_id_ = 0;
    Counts counts_;
    bool closed_ = false;
};

}  // namespace mooncake
