// SPDX-License-Identifier: Apache-2.0
#include "listen_check.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "port.h"
#include "transport/nvmeof_generic_transport/common/endpoint.h"
#include "transport/nvmeof_generic_transport/common/network_namespace.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

// @return the errno of a bind(2) to the address
int tryBind(const TransportAddress& address) {
    addrinfo hints{};
    hints.ai_family = address.adrfam == "ipv4" ? AF_INET : AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    addrinfo* list = nullptr;
    // An interface that is not there, in a scope, is no address either.
    if (::getaddrinfo(address.traddr.c_str(), address.trsvcid.c_str(), &hints, &list) != 0) {
        return EADDRNOTAVAIL;
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(list, ::freeaddrinfo);
    const UniqueFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) return errno;
    // As nvmet's: connections of before are not in the way, a listener is.
    const int one = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0) return errno;
    if (::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0) return errno;
    return 0;
}

}  // namespace

Result<> checkListen(const NvmetTree& tree, const TransportAddress& address) {
    TransportAddress tried = address;
    // RDMA has ports of its own; whether this one is free, only its device knows.
    if (address.trtype == "rdma") tried.trsvcid = std::string("0");
    const int code = tryBind(tried);
    if (code == 0) return {};
    if (code == EADDRINUSE) {
        const auto own = Port::listOwn(tree);
        if (own.ok() &&
            std::any_of(own.value().begin(), own.value().end(), [&](const Port::Own& port) {
                return port.network == networkNamespace() &&
                       sameEndpoint(Port::addressOf(tree, port.id), address);
            })) {
            return {};
        }
    }
    return Port::listenError(tree, address, code, "");
}

}  // namespace mooncake::nvmeof_generic
