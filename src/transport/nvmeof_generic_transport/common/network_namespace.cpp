// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/network_namespace.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

// In the kernel's headers since 5.14.
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace mooncake::nvmeof_generic {

uint64_t networkNamespace() {
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);
    const UniqueFd any(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (any.valid() && ::getsockopt(any.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0) {
        return cookie;
    }
    struct stat status {};
    return ::stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
}

}  // namespace mooncake::nvmeof_generic
