// SPDX-License-Identifier: Apache-2.0
#include "http_front.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "deadline_stream.h"

namespace mooncake {

namespace {

constexpr int kRequestsPerConnection = 100;
// Of one wait for bytes to come or to go.
constexpr std::chrono::seconds kWait(5);
// All lines of a header together.
constexpr size_t kHeaderBytes = 64 << 10;
// Connections that have been accepted and wait for room.
constexpr size_t kWaiting = 64;

// An answer to a request that was not read to its end would be lost where the connection is closed
// at once: the kernel tells the other side then that its bytes were not taken.
constexpr std::chrono::seconds kDrainTime(1);
constexpr size_t kDrainBytes = 16 << 20;

void drain(int fd) {
    const auto end = std::chrono::steady_clock::now() + kDrainTime;
    shutdown(fd, SHUT_WR);
    char unused[16 << 10];
    for (size_t drained = 0; drained < kDrainBytes;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        pollfd entry = {fd, POLLIN, 0};
        if (left.count() <= 0 || poll(&entry, 1, static_cast<int>(left.count())) <= 0) return;
        const ssize_t got = recv(fd, unused, sizeof(unused), MSG_DONTWAIT);
        if (got <= 0) return;
        drained += static_cast<size_t>(got);
    }
}

thread_local bool t_close_after_answer = false;

}  // namespace

HttpFront::HttpFront(const Times& times, const ConnectionCrowd::Limits& crowd, size_t pending_bytes,
                     size_t body_bytes)
    : times_(times), body_bytes_(body_bytes), clients_(crowd, pending_bytes) {
    const size_t threads = crowd.connections + kWaiting;
    new_task_queue = [threads] { return new ConnectionThreads(threads); };
    // Else an answer on a connection that is used again waits for the other side to acknowledge its
    // header, 40 ms.
    set_tcp_nodelay(true);
    // The default adds SO_REUSEPORT, with which a second server takes the port without an error.
    set_socket_options([](int socket) {
        const int on = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });
}

void HttpFront::setTls(TlsContext context) {
    std::lock_guard lock(mutex_);
    tls_ = std::move(context);
}

void HttpFront::closeAfter(httplib::Response& response) {
    response.set_header("Connection", "close");
    t_close_after_answer = true;
}

bool HttpFront::process_and_close_socket(socket_t fd) {
    sockaddr_storage peer = {};
    socklen_t size = sizeof(peer);
    getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size);
    const Clients::Id id = clients_.enter(fd, peer);
    const bool well = serve(fd, id);
    clients_.leave(id);
    shutdown(fd, SHUT_RDWR);
    close(fd);
    return well;
}

bool HttpFront::serve(socket_t fd, Clients::Id id) {
    DeadlineStream stream(fd, kWait, [&](size_t bytes) { return clients_.grow(id, bytes); });
    TlsContext tls;
    {
        std::lock_guard lock(mutex_);
        tls = tls_;
    }
    if (tls) {
        stream.allow(times_.header, kHeaderBytes);
        if (!stream.startTls(tls)) return false;
    }
    bool well = false;
    t_close_after_answer = false;
    auto patience = times_.idle;
    for (int left = kRequestsPerConnection; left > 0; --left) {
        if (svr_sock_ == INVALID_SOCKET || !stream.waitForRequest(patience)) break;
        clients_.move(id, Clients::Stage::kAsking);
        stream.allow(times_.header, kHeaderBytes);
        bool closed = false;
        well = process_request(stream, left == 1, closed, [&](httplib::Request& request) {
            stream.allow(times_.body, body_bytes_);  // the header is there
            request.ranges.clear();                  // records are small, and read as a whole
            // Without a body it is complete.
            if (!request.has_header("Content-Length") && !request.has_header("Transfer-Encoding")) {
                clients_.move(id, Clients::Stage::kAnswered);
            }
        });
        clients_.release(id);
        // What has not been read is not the begin of another request.
        t_close_after_answer = t_close_after_answer || stream.isOver();
        if (!well || closed || t_close_after_answer) break;
        clients_.move(id, Clients::Stage::kIdle);
        patience = clients_.areFew() ? times_.leisure : times_.idle;
    }
    stream.end();
    if (t_close_after_answer) drain(fd);
    return well;
}

}  // namespace mooncake
