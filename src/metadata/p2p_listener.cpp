// SPDX-License-Identifier: Apache-2.0
#include "p2p_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "common.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAcceptPause(100);
// Of one connection at a time, so that all have their turn.
constexpr size_t kReceiveBytes = 64 << 10;
constexpr size_t kSendBytes = 256 << 10;
constexpr int kAcceptCount = 32;
// Between two lines in the log about the same thing, in seconds.
constexpr double kLogPause = 60;

// Where to listen. IPv6 also for names: such a socket serves both families.
sockaddr_storage addressOf(const std::string& host, uint16_t port, bool with_ipv6,
                           socklen_t* size) {
    sockaddr_storage storage = {};
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1 ||
        (!with_ipv6 && !isValidIpV6(host))) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *size = sizeof(*v4);
        return storage;
    }
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) v6->sin6_addr = in6addr_any;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *size = sizeof(*v6);
    return storage;
}

}  // namespace

struct P2pListener::Connection {
    int fd = -1;
    ConnectionCrowd::Id id = 0;
    sockaddr_storage peer = {};
    Clock::time_point accepted;
    Clock::time_point deadline;
    P2pTypeReader reader;
    bool asked = false;
    std::shared_ptr<const std::string> answer;
    size_t sent = 0;  // of the answer
};

P2pListener::P2pListener(const Limits& limits, Answer answer)
    : limits_(limits), answer_(std::move(answer)), crowd_(limits.crowd) {}

Status P2pListener::start(const std::string& host, uint16_t port, const Limits& limits,
                          Answer answer, std::unique_ptr<P2pListener>* listener) {
    std::unique_ptr<P2pListener> made(new P2pListener(limits, std::move(answer)));
    Status status = made->listen(host, port);
    if (!status.ok()) return status;
    auto started = nvmeof_generic::startThread("te-p2p", [self = made.get()] { self->serve(); });
    if (!started.ok()) {
        return Status::Context("this node cannot answer others: " + started.error().message);
    }
    made->thread_ = started.take();
    *listener = std::move(made);
    return Status::OK();
}

Status P2pListener::listen(const std::string& host, uint16_t port) {
    const auto failed = [&](int error) {
        const char* remedy =
            error == EADDRINUSE
                ? "; another program listens there (ss -tlnp), or the port is the local one of an "
                  "outgoing connection (ss -tnp): give this node another port, outside of "
                  "net.ipv4.ip_local_port_range, or port 0 for one that is free"
            : error == EADDRNOTAVAIL ? "; name this node by an address of this machine"
                                     : "";
        return Status::Socket("cannot listen on " + maybeWrapIpV6(host) + ":" +
                              std::to_string(port) + ": " + std::strerror(error) + remedy);
    };
    sockaddr_storage address = {};
    socklen_t size = 0;
    for (const bool with_ipv6 : {true, false}) {
        address = addressOf(host, port, with_ipv6, &size);
        socket_fd_ = nvmeof_generic::ProcessFd::open([&] {
            return socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        });
        socket_ = socket_fd_.get();
        if (socket_ >= 0 || errno != EAFNOSUPPORT) break;
    }
    stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (socket_ < 0 || stop_ < 0) return failed(errno);
    const int on = 1;
    const int off = 0;
    // Else the connections of a predecessor that crashed keep its port for a minute.
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ss_family == AF_INET6 && !isValidIpV6(host)) {
        setsockopt(socket_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(socket_, generic, size) != 0 || ::listen(socket_, SOMAXCONN) != 0 ||
        getsockname(socket_, generic, &size) != 0) {
        return failed(errno);
    }
    port_ =
        ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                            : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
    return Status::OK();
}

P2pListener::~P2pListener() {
    if (thread_.joinable()) {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
        thread_.join();
    }
    if (stop_ >= 0) close(stop_);
}

void P2pListener::serve() {
    std::vector<pollfd> polled;
    for (;;) {
        const auto now = Clock::now();
        const bool paused = now < accept_from_;
        auto wake = Clock::time_point::max();
        if (paused || waiting_) wake = accept_from_;
        polled.clear();
        polled.push_back({stop_, POLLIN, 0});
        polled.push_back({socket_, static_cast<short>(paused || waiting_ ? 0 : POLLIN), 0});
        for (const Connection& one : connections_) {
            const bool sends = one.answer && one.sent < one.answer->size();
            polled.push_back({one.fd, static_cast<short>(sends ? POLLOUT : POLLIN), 0});
            wake = std::min(wake, one.deadline);
        }
        int timeout = -1;
        if (wake != Clock::time_point::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(wake - now).count();
            timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 1000000));
        }
        if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) {
            LOG(ERROR) << "This node answers no other any more: poll: " << std::strerror(errno);
            break;
        }
        if (polled[0].revents != 0) break;
        const auto after = Clock::now();
        size_t place = 2;
        bool changed = false;
        for (auto one = connections_.begin(); one != connections_.end(); ++place) {
            const auto current = one++;
            if (polled[place].revents != 0) advance(&*current);
            changed = changed || polled[place].revents != 0 || after >= current->deadline;
            if (current->fd < 0 || after >= current->deadline) remove(current);
        }
        // Who waits for room waits for its time, or for something to happen with those who have it.
        if (waiting_ ? changed || after >= accept_from_ : polled[1].revents != 0) acceptSome();
    }
    while (!connections_.empty()) remove(connections_.begin());
    if (waiting_) close(waiting_->fd);
    waiting_.reset();
}

void P2pListener::remove(Connections::iterator connection) {
    if (connection->fd >= 0) close(connection->fd);
    crowd_.remove(connection->id);
    connections_.erase(connection);
}

void P2pListener::acceptSome() {
    for (int left = kAcceptCount; left > 0 && acceptOne(); --left) {
    }
}

// False where there is nobody more to accept at the moment.
bool P2pListener::acceptOne() {
    const auto now = Clock::now();
    if (!waiting_) {
        auto made = std::make_unique<Connection>();
        socklen_t size = sizeof(made->peer);
        made->fd = accept4(socket_, reinterpret_cast<sockaddr*>(&made->peer), &size,
                           SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (made->fd < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return false;
            LOG_EVERY_T(WARNING, kLogPause)
                << "A node that asks is not answered yet: accept: " << std::strerror(errno);
            accept_from_ = now + kAcceptPause;
            return false;
        }
        made->accepted = now;
        waiting_ = std::move(made);
    }
    const ConnectionCrowd::Place place = crowd_.placeFor(peerKeyOf(waiting_->peer));
    if (!place.free) {
        if (place.from > now) {
            accept_from_ = place.from;
            return false;
        }
        const auto victim =
            std::find_if(connections_.begin(), connections_.end(),
                         [&](const Connection& one) { return one.id == place.victim; });
        LOG_EVERY_T(WARNING, kLogPause)
            << "There are more connections than this node serves at once, and one from "
            << peerText(victim->peer)
            << " was closed to make room; see who asks without end (this is said once a minute)";
        remove(victim);
    }
    connections_.push_back(std::move(*waiting_));
    waiting_.reset();
    Connection& made = connections_.back();
    made.id = next_id_++;
    made.deadline = now + std::min(limits_.ask_time, limits_.connection_time);
    crowd_.add(made.id, peerKeyOf(made.peer), now);
    return true;
}

// Does what can be done for it now, up to a limit. Its descriptor is closed where it is over.
void P2pListener::advance(Connection* connection) {
    bool open = true;
    if (!connection->asked) open = receiveAsk(connection);
    if (open && !connection->asked) return;
    if (open && !connection->answer) {
        connection->answer = answer_(connection->reader.type());
        connection->deadline = connection->accepted + limits_.connection_time;
        crowd_.move(connection->id, ConnectionCrowd::Stage::kAnswered, Clock::now());
        open = connection->answer != nullptr;
    }
    if (open) open = sendAnswer(connection);
    if (open && connection->sent == connection->answer->size()) {
        crowd_.move(connection->id, ConnectionCrowd::Stage::kIdle, Clock::now());
    }
    if (open) return;
    close(connection->fd);
    connection->fd = -1;
}

// False where the connection is to be closed.
bool P2pListener::receiveAsk(Connection* connection) const {
    P2pTypeReader& reader = connection->reader;
    for (size_t budget = kReceiveBytes; budget > 0;) {
        char head[kP2pHeadBytes];
        const bool in_head = reader.missingHead() > 0;
        const size_t wanted = in_head ? reader.missingHead() : std::min(reader.rest(), budget);
        if (!in_head && reader.rest() == 0) {
            connection->asked = true;
            return true;
        }
        // The kernel throws the text away, without a copy of it.
        const ssize_t got = in_head ? recv(connection->fd, head, wanted, 0)
                                    : recv(connection->fd, nullptr, wanted, MSG_TRUNC);
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == 0) return false;
        const auto count = static_cast<size_t>(got);
        budget -= std::min(budget, count);
        if (!in_head) {
            reader.skip(count);
            continue;
        }
        const Status fed = reader.feed(std::string_view(head, count));
        if (!fed.ok()) {
            LOG_EVERY_T(WARNING, kLogPause) << "A connection from " << peerText(connection->peer)
                                            << " that is no node's was closed: " << fed.message();
            return false;
        }
    }
    return true;
}

// False where the connection is to be closed.
bool P2pListener::sendAnswer(Connection* connection) const {
    const std::string& answer = *connection->answer;
    for (size_t budget = kSendBytes; connection->sent < answer.size() && budget > 0;) {
        const size_t wanted = std::min(answer.size() - connection->sent, budget);
        const ssize_t sent =
            send(connection->fd, answer.data() + connection->sent, wanted, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        connection->sent += static_cast<size_t>(sent);
        budget -= static_cast<size_t>(sent);
        // Closing at once could make the kernel drop what the other side has not read yet.
        if (connection->sent == answer.size()) shutdown(connection->fd, SHUT_WR);
    }
    if (connection->sent < answer.size()) return true;
    char byte = 0;
    const ssize_t got = recv(connection->fd, &byte, 1, 0);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

}  // namespace mooncake
