// SPDX-License-Identifier: Apache-2.0
#include "path.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr size_t kMostSides = 8;

int familyOf(const std::string& text) {
    unsigned char binary[sizeof(in6_addr)];
    for (const int family : {AF_INET, AF_INET6}) {
        if (inet_pton(family, text.c_str(), binary) == 1) return family;
    }
    return AF_UNSPEC;
}

// Nothing that passes can add an option to the kernel's string of them.
bool isInterfaceName(std::string_view name) {
    return !name.empty() && name.size() < IFNAMSIZ &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '-' || c == '_';
           });
}

bool fits(const HostSide& from, const TransportAddress& target) {
    return from.address.empty() ||
           familyOf(from.address) == (target.adrfam == "ipv4" ? AF_INET : AF_INET6);
}

}  // namespace

Result<HostSides> parseHostSides(std::string_view text) {
    HostSides sides;
    while (true) {
        const size_t comma = std::min(text.find(','), text.size());
        const std::string word(text.substr(0, comma));
        HostSide side;
        if (word.find('\0') == std::string::npos && familyOf(word) != AF_UNSPEC) {
            side.address = word;
        } else if (isInterfaceName(word)) {
            side.interface = word;
        } else {
            return Error{EINVAL,
                         "interface names or numeric addresses of this host, apart by "
                         "commas; " +
                             inQuotes(word) + " is none"};
        }
        if (std::find(sides.begin(), sides.end(), side) != sides.end()) {
            return Error{EINVAL, "each interface once; " + inQuotes(word) + " is given twice"};
        }
        sides.push_back(std::move(side));
        if (sides.size() > kMostSides) {
            return Error{EINVAL, std::to_string(kMostSides) + " interfaces at most"};
        }
        if (comma == text.size()) return sides;
        text.remove_prefix(comma + 1);
    }
}

Paths pathsOf(const TransportAddresses& addresses, const HostSides& from) {
    Paths paths;
    for (const TransportAddress& address : addresses) {
        bool any = false;
        for (const HostSide& side : from) {
            if (!fits(side, address)) continue;
            paths.push_back({address, side});
            any = true;
        }
        // From nothing that was named: then as the route says.
        if (!any) paths.push_back({address});
    }
    return paths;
}

Result<std::string> sourceAddress(const Path& path) {
    if (path.from.interface.empty() || !path.from.address.empty()) return path.from.address;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return makeError(errno, "cannot list this host's addresses");
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> all(list, freeifaddrs);
    const int family = path.target.adrfam == "ipv4" ? AF_INET : AF_INET6;
    const socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != family ||
            path.from.interface != one->ifa_name) {
            continue;
        }
        char text[NI_MAXHOST];
        if (getnameinfo(one->ifa_addr, length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) !=
            0) {
            continue;
        }
        const std::string address = text;
        // Of a link alone.
        if (address.find('%') == std::string::npos) return address;
    }
    return makeError(EADDRNOTAVAIL, "interface " + path.from.interface,
                     "it has no " + path.target.adrfam + " address from which to reach " +
                         toString(path.target));
}

std::string toString(const Path& path) {
    std::string text = toString(path.target);
    if (!path.from.interface.empty()) text += " from interface " + path.from.interface;
    if (!path.from.address.empty()) text += " from " + path.from.address;
    return text;
}

}  // namespace mooncake::nvmeof_generic
