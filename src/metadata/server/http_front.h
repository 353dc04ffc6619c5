// SPDX-License-Identifier: Apache-2.0
// The library's HTTP server, but for who may hold a connection how long, TLS, and counting.
#pragma once

#include <httplib.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>

#include "clients.h"
#include "connection_threads.h"
#include "tls_context.h"

namespace mooncake {

class HttpFront : public httplib::Server {
 public:
    // How long a client may take, however many bytes it sends meanwhile.
    struct Times {
        // To its first byte, and from one request to the next.
        std::chrono::milliseconds idle{1000};
        // From one request to the next while there is room: a node that asks again every few
        // seconds is spared a new connection each time.
        std::chrono::milliseconds leisure{15000};
        std::chrono::milliseconds header{5000};  // from its first byte on, a TLS handshake included
        std::chrono::milliseconds body{30000};   // from the end of the header on
    };

    // `body_bytes`: the most that the body of a request may take on the wire.
    HttpFront(const Times& times, const ConnectionCrowd::Limits& crowd, size_t pending_bytes,
              size_t body_bytes);

    // From the next connection on.
    void setTls(TlsContext context);
    // The library has the kernel hold five connections that are not accepted yet. Where many nodes
    // start at once, the others would try again after a second, three seconds, seven.
    void queueMore() { ::listen(svr_sock_, SOMAXCONN); }
    // Gives up the socket that was bound. The library itself closes it only at the end of its
    // listening.
    void closeUnserved() { ::close(svr_sock_.exchange(INVALID_SOCKET)); }
    Clients& clients() { return clients_; }
    // For the request that this thread is at: it has not been read to its end, so that the
    // connection ends with its answer.
    static void closeAfter(httplib::Response& response);

 private:
    bool process_and_close_socket(socket_t fd) override;
    bool serve(socket_t fd, Clients::Id id);

    const Times times_;
    const size_t body_bytes_;
    Clients clients_;
    std::mutex mutex_;
    TlsContext tls_;  // guarded by mutex_; null: none
};

}  // namespace mooncake
