// SPDX-License-Identifier: Apache-2.0
#include "deadline_stream.h"

#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mooncake {

namespace {

using NameOf = int (*)(int, sockaddr*, socklen_t*);

void describe(int fd, NameOf name_of, std::string& ip, int& port) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    char host[NI_MAXHOST] = {};
    char service[NI_MAXSERV] = {};
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    if (name_of(fd, plain, &size) != 0 ||
        getnameinfo(plain, size, host, sizeof(host), service, sizeof(service),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return;
    }
    ip = host;
    port = std::atoi(service);
}

}  // namespace

bool DeadlineStream::waitFor(short event, Clock::time_point limit) const {
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now());
        if (left.count() <= 0) return false;
        pollfd entry = {fd_, event, 0};
        const int ready = poll(&entry, 1, static_cast<int>(left.count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

bool DeadlineStream::waitForRequest(std::chrono::milliseconds time) const {
    return begin_ != end_ || (ssl_ && SSL_pending(ssl_.get()) > 0) ||
           waitFor(POLLIN, Clock::now() + time);
}

DeadlineStream::Clock::time_point DeadlineStream::readLimit() const {
    return std::min(Clock::now() + idle_, deadline_);
}

DeadlineStream::Clock::time_point DeadlineStream::writeLimit() const {
    return std::min(Clock::now(), deadline_) + idle_;
}

bool DeadlineStream::is_readable() const {
    return begin_ != end_ || (ssl_ && SSL_pending(ssl_.get()) > 0) || waitFor(POLLIN, readLimit());
}

bool DeadlineStream::is_writable() const {
    return waitFor(POLLOUT, writeLimit());
}

template <typename Call>
int DeadlineStream::patiently(const Call& call, const std::function<Clock::time_point()>& limit) {
    for (;;) {
        // Who sends without end would never let us look at the clock.
        if (Clock::now() >= limit()) return -1;
        ERR_clear_error();
        const int done = call();
        if (done > 0) return done;
        switch (SSL_get_error(ssl_.get(), done)) {
            case SSL_ERROR_WANT_READ:
                if (!waitFor(POLLIN, limit())) return -1;
                break;
            case SSL_ERROR_WANT_WRITE:
                if (!waitFor(POLLOUT, limit())) return -1;
                break;
            case SSL_ERROR_ZERO_RETURN:
                return 0;
            default:
                return -1;
        }
    }
}

bool DeadlineStream::startTls(const TlsContext& context) {
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
    ssl_.reset(SSL_new(context.get()));
    return ssl_ && SSL_set_fd(ssl_.get(), fd_) == 1 &&
           patiently([this] { return SSL_accept(ssl_.get()); }, [this] { return readLimit(); }) > 0;
}

void DeadlineStream::end() {
    // Once, without waiting for the other side's.
    if (ssl_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

ssize_t DeadlineStream::receive() {
    if (ssl_) {
        return patiently(
            [this] {
                return SSL_read(ssl_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
            },
            [this] { return readLimit(); });
    }
    ssize_t got = -1;
    do {
        if (!is_readable()) return -1;
        got = recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    return got;
}

ssize_t DeadlineStream::read(char* data, size_t size) {
    if (begin_ == end_) {
        begin_ = end_ = 0;
        const ssize_t got = receive();
        if (got <= 0) return got;
        if (!receipt_(static_cast<size_t>(got))) return -1;
        end_ = static_cast<size_t>(got);
    }
    const size_t count = std::min(size, end_ - begin_);
    if (count > bytes_left_) {
        too_much_ = true;
        return -1;
    }
    bytes_left_ -= count;
    std::memcpy(data, buffer_.data() + begin_, count);
    begin_ += count;
    return static_cast<ssize_t>(count);
}

ssize_t DeadlineStream::write(const char* data, size_t size) {
    if (ssl_) {
        const int part = static_cast<int>(std::min<size_t>(size, 1 << 20));
        return patiently([&] { return SSL_write(ssl_.get(), data, part); },
                         [this] { return writeLimit(); });
    }
    ssize_t sent = -1;
    do {
        if (!is_writable()) return -1;
        sent = send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && (errno == EINTR || errno == EAGAIN));
    return sent;
}

void DeadlineStream::get_remote_ip_and_port(std::string& ip, int& port) const {
    describe(fd_, getpeername, ip, port);
}

void DeadlineStream::get_local_ip_and_port(std::string& ip, int& port) const {
    describe(fd_, getsockname, ip, port);
}

}  // namespace mooncake
