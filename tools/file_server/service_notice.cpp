// SPDX-License-Identifier: Apache-2.0
#include "service_notice.h"

#include <glog/logging.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

namespace {

std::string oneLine(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

}  // namespace

ServiceNotice::ServiceNotice(std::string socket) : socket_(std::move(socket)) {
    const bool known = socket_.starts_with('/') || (socket_.starts_with('@') && socket_.size() > 1);
    if (!socket_.empty() && (!known || socket_.size() >= sizeof(sockaddr_un::sun_path))) {
        LOG(WARNING) << "NOTIFY_SOCKET is " << inQuotes(socket_)
                     << ", which is no address of a local socket; the service manager is not told "
                        "how this service fares";
        socket_.clear();
    }
}

ServiceNotice ServiceNotice::fromEnvironment() {
    const char* const value = std::getenv("NOTIFY_SOCKET");
    ServiceNotice notice(value == nullptr ? "" : value);
    unsetenv("NOTIFY_SOCKET");
    return notice;
}

void ServiceNotice::ready(const std::string& status) {
    send("READY=1\nSTATUS=" + oneLine(status));
}

void ServiceNotice::reloading() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    send("RELOADING=1\nSTATUS=reloading\nMONOTONIC_USEC=" +
         std::to_string(now / std::chrono::microseconds(1)));
}

void ServiceNotice::stopping() {
    send("STOPPING=1\nSTATUS=stopping");
}

void ServiceNotice::status(const std::string& status) {
    send("STATUS=" + oneLine(status));
}

void ServiceNotice::send(const std::string& message) {
    if (socket_.empty()) return;
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (socket_[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    const nvmeof_generic::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (fd.get() < 0 || ::sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL,
                                 reinterpret_cast<const sockaddr*>(&address), size) < 0) {
        LOG(WARNING) << "the service manager cannot be told how this service fares: "
                     << std::strerror(errno);
    }
}

}  // namespace mooncake::file_server
