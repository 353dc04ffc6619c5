// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/transport_address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <set>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kForm[] =
    "expected 'trtype=<tcp|rdma> adrfam=<ipv4|ipv6> traddr=<address> trsvcid=<port>'";

bool isPort(const std::string& text) {
    uint32_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && text[0] != '0' &&
           port >= 1 && port <= 65535;
}

// The interface name behind '%' in an IPv6 link-local address.
bool isScope(std::string_view name) {
    return !name.empty() && name.size() < IFNAMSIZ &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '-' || c == '_';
           });
}

bool isNumericAddress(const std::string& adrfam, const std::string& traddr) {
    unsigned char binary[sizeof(in6_addr)];
    // inet_pton reads to the first NUL: what lies behind one would go unchecked.
    if (traddr.find('\0') != std::string::npos) return false;
    if (adrfam == "ipv4") return inet_pton(AF_INET, traddr.c_str(), binary) == 1;
    const size_t percent = traddr.find('%');
    if (percent != std::string::npos && !isScope(std::string_view(traddr).substr(percent + 1))) {
        return false;
    }
    return inet_pton(AF_INET6, traddr.substr(0, percent).c_str(), binary) == 1;
}

}  // namespace

Result<> checkAddress(const TransportAddress& address) {
    if (address.trtype != "tcp" && address.trtype != "rdma") {
        return makeError(EINVAL, "transport type " + inQuotes(address.trtype),
                         "trtype must be tcp or rdma");
    }
    if (address.adrfam != "ipv4" && address.adrfam != "ipv6") {
        return makeError(EINVAL, "address family " + inQuotes(address.adrfam),
                         "adrfam must be ipv4 or ipv6");
    }
    if (!isNumericAddress(address.adrfam, address.traddr)) {
        return makeError(EINVAL, "address " + inQuotes(address.traddr),
                         "traddr must be a numeric " + address.adrfam + " address");
    }
    if (!isPort(address.trsvcid)) {
        return makeError(EINVAL, "port " + inQuotes(address.trsvcid),
                         "trsvcid must be a number from 1 to 65535");
    }
    return {};
}

bool isUnspecified(const TransportAddress& address) {
    in6_addr bytes{};
    if (address.adrfam == "ipv4") {
        in_addr four{};
        return inet_pton(AF_INET, address.traddr.c_str(), &four) == 1 && four.s_addr == INADDR_ANY;
    }
    const std::string text = address.traddr.substr(0, address.traddr.find('%'));
    if (inet_pton(AF_INET6, text.c_str(), &bytes) != 1) return false;
    const bool lowEmpty =
        std::all_of(bytes.s6_addr + 12, bytes.s6_addr + 16, [](uint8_t byte) { return byte == 0; });
    return IN6_IS_ADDR_UNSPECIFIED(&bytes) || (IN6_IS_ADDR_V4MAPPED(&bytes) && lowEmpty);
}

bool isScoped(const TransportAddress& address) {
    return address.traddr.find('%') != std::string::npos;
}

std::string_view takeWord(std::string_view& text) {
    constexpr std::string_view kBlanks = " \t";
    const size_t start = std::min(text.find_first_not_of(kBlanks), text.size());
    const size_t end = std::min(text.find_first_of(kBlanks, start), text.size());
    const std::string_view word = text.substr(start, end - start);
    text.remove_prefix(end);
    return word;
}

Result<TransportAddress> parseAddress(std::string_view text) {
    TransportAddress address;
    std::set<std::string_view> seen;
    while (true) {
        const std::string_view word = takeWord(text);
        if (word.empty()) break;
        const size_t equals = word.find('=');
        const std::string_view key = word.substr(0, equals);
        std::string* field = key == "trtype"    ? &address.trtype
                             : key == "adrfam"  ? &address.adrfam
                             : key == "traddr"  ? &address.traddr
                             : key == "trsvcid" ? &address.trsvcid
                                                : nullptr;
        if (field == nullptr || equals == std::string_view::npos) {
            return makeError(EINVAL, "address argument " + inQuotes(word), kForm);
        }
        if (!seen.insert(key).second) {
            return makeError(EINVAL, "address argument " + inQuotes(word) + " is given twice",
                             kForm);
        }
        *field = std::string(word.substr(equals + 1));
    }
    if (Result<> checked = checkAddress(address); !checked.ok()) {
        return Error{checked.error().code, checked.error().message + "; " + kForm};
    }
    return address;
}

std::string toString(const TransportAddress& address) {
    return "trtype=" + address.trtype + " adrfam=" + address.adrfam + " traddr=" + address.traddr +
           " trsvcid=" + address.trsvcid;
}

}  // namespace mooncake::nvmeof_generic
