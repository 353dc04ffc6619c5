// SPDX-License-Identifier: Apache-2.0
#include "deadline_stream.h"

#include <netdb.h>
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
    return begin_ != end_ || waitFor(POLLIN, Clock::now() + time);
}

bool DeadlineStream::is_readable() const {
    return begin_ != end_ || waitFor(POLLIN, std::min(Clock::now() + idle_, deadline_));
}

bool DeadlineStream::is_writable() const {
    return waitFor(POLLOUT, std::min(Clock::now(), deadline_) + idle_);
}

ssize_t DeadlineStream::read(char* data, size_t size) {
    if (begin_ == end_) {
        begin_ = end_ = 0;
        ssize_t got = -1;
        do {
            if (!is_readable()) return -1;
            got = recv(fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        } while (got < 0 && (errno == EINTR || errno == EAGAIN));
        if (got <= 0) return got;
        end_ = static_cast<size_t>(got);
    }
    const size_t count = std::min(size, end_ - begin_);
    std::memcpy(data, buffer_.data() + begin_, count);
    begin_ += count;
    return static_cast<ssize_t>(count);
}

ssize_t DeadlineStream::write(const char* data, size_t size) {
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
