// SPDX-License-Identifier: Apache-2.0
#include "port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

namespace mooncake::python {
namespace {

constexpr uint16_t kFirst = 12300;
constexpr uint16_t kLast = 14300;
constexpr int kAttempts = 1000;

}  // namespace

NamedPort::NamedPort() {
    std::random_device random;
    std::uniform_int_distribution<int> any(kFirst, kLast);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return;
        const int port = any(random);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_ANY);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
            // Only now: whoever else looks for a free port must not get this one.
            const int on = 1;
            ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
            fd_ = fd;
            number_ = static_cast<uint16_t>(port);
            return;
        }
        ::close(fd);
    }
}

NamedPort::~NamedPort() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace mooncake::python
