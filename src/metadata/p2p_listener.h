// SPDX-License-Identifier: Apache-2.0
// Answers the nodes that ask this one (P2PHANDSHAKE).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/status.h"
#include "p2p_frame.h"

namespace mooncake {

// One thread serves all connections as their bytes come, so that one that is slow or silent holds
// up nobody; each has a time limit, and their number has one.
class P2pListener {
 public:
    struct Limits {
        size_t connections = 256;
        std::chrono::milliseconds connection_time{10000};  // from accepting to closing
    };
    // What to answer to a frame; empty to close the connection without an answer. Called in the
    // listener's thread.
    using Answer = std::function<std::string(const P2pFrame& frame)>;

    // Listens at `host`: on that address where it is one, on every address of the machine where it
    // is a name. Port 0 takes one that is free. Socket, with cause and remedy, on failure.
    static Status start(const std::string& host, uint16_t port, const Limits& limits, Answer answer,
                        std::unique_ptr<P2pListener>* listener);
    // Closes every connection.
    ~P2pListener();
    P2pListener(const P2pListener&) = delete;
    P2pListener& operator=(const P2pListener&) = delete;

    uint16_t port() const { return port_; }

 private:
    struct Connection;

    P2pListener(const Limits& limits, Answer answer)
        : limits_(limits), answer_(std::move(answer)) {}

    Status listen(const std::string& host, uint16_t port);
    void serve();
    void acceptAll(std::vector<Connection>* connections);
    bool advance(Connection* connection) const;
    bool receiveFrame(Connection* connection) const;

    const Limits limits_;
    const Answer answer_;
    int socket_ = -1;
    int stop_ = -1;  // an eventfd
    uint16_t port_ = 0;
    // Without a free file descriptor, accepting has to wait.
    std::chrono::steady_clock::time_point accept_from_{};
    std::thread thread_;
};

}  // namespace mooncake
