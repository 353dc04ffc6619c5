// SPDX-License-Identifier: Apache-2.0
// Answers the nodes that ask this one (P2PHANDSHAKE).
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "common/base/status.h"
#include "connection_crowd.h"
#include "p2p_frame.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"

namespace mooncake {

// One thread serves all connections as their bytes come. One that is slow, silent or greedy holds
// up nobody: what is done for a connection at a time is bounded, nothing of what it sends is kept
// or looked at but the type of its message, answers are shared by those who get them, and where
// there are too many connections, room is made (see ConnectionCrowd).
class P2pListener {
 public:
    struct Limits {
        ConnectionCrowd::Limits crowd;
        std::chrono::milliseconds ask_time{3000};          // from accepting to the end of the ask
        std::chrono::milliseconds connection_time{10000};  // from accepting to closing
    };
    // The frame to answer an ask of that type with; null to close the connection without one.
    // Called in the listener's thread.
    using Answer = std::function<std::shared_ptr<const std::string>(P2pType type)>;

    // Listens at `host`: on that address where it is one, on every address of the machine where it
    // is a name. Port 0 takes one that is free. Socket, or Context
    // where there is no thread, with cause and remedy.
    static Status start(const std::string& host, uint16_t port, const Limits& limits, Answer answer,
                        std::unique_ptr<P2pListener>* listener);
    // Closes every connection.
    ~P2pListener();
    P2pListener(const P2pListener&) = delete;
    P2pListener& operator=(const P2pListener&) = delete;

    uint16_t port() const { return port_; }

 private:
    struct Connection;
    using Connections = std::list<Connection>;  // in the order in which they came

    P2pListener(const Limits& limits, Answer answer);

    Status listen(const std::string& host, uint16_t port);
    void serve();
    void acceptSome();
    bool acceptOne();
    void advance(Connection* connection);
    bool receiveAsk(Connection* connection) const;
    bool sendAnswer(Connection* connection) const;
    void remove(Connections::iterator connection);

    const Limits limits_;
    const Answer answer_;
    nvmeof_generic::ProcessFd socket_fd_;  // a forked child does not keep its port
    int socket_ = -1;                      // the same
    int stop_ = -1;                        // an eventfd
    uint16_t port_ = 0;
    // The rest belongs to the thread.
    ConnectionCrowd crowd_;
    Connections connections_;
    ConnectionCrowd::Id next_id_ = 0;
    // Who has been accepted and has to wait for room; it is not in connections_.
    std::unique_ptr<Connection> waiting_;
    // Without a free file descriptor, or without room, accepting has to wait.
    std::chrono::steady_clock::time_point accept_from_{};
    std::thread thread_;
};

}  // namespace mooncake
