// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/transport_address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>

#include "transport/nvmeof_generic_transport/common/endpoint.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kForm[] =
    "expected 'trtype=<tcp|rdma> adrfam=<ipv4|ipv6> traddr=<address> trsvcid=<port>', with "
    "several addresses a list of values, apart by commas";

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

Result<> checkAddresses(const TransportAddresses& addresses) {
    if (addresses.empty() || addresses.size() > kMostAddresses) {
        return makeError(EINVAL, std::to_string(addresses.size()) + " addresses",
                         "a subsystem has 1 to " + std::to_string(kMostAddresses));
    }
    for (auto one = addresses.begin(); one != addresses.end(); ++one) {
        if (auto checked = checkAddress(*one); !checked.ok()) return checked;
        const auto same = std::find_if(
            addresses.begin(), one, [&](const auto& other) { return sameEndpoint(other, *one); });
        if (same != one) {
            return makeError(EINVAL, "address " + toString(*one), "it is given twice");
        }
    }
    return {};
}

namespace {

// What stands between commas; of "a,," the last two are empty.
std::vector<std::string_view> splitList(std::string_view list) {
    std::vector<std::string_view> values;
    while (true) {
        const size_t comma = std::min(list.find(','), list.size());
        values.push_back(list.substr(0, comma));
        if (comma == list.size()) return values;
        list.remove_prefix(comma + 1);
    }
}

constexpr std::pair<std::string_view, std::string TransportAddress::*> kFields[] = {
    {"trtype", &TransportAddress::trtype},
    {"adrfam", &TransportAddress::adrfam},
    {"traddr", &TransportAddress::traddr},
    {"trsvcid", &TransportAddress::trsvcid}};

}  // namespace

Result<TransportAddresses> expandLists(const TransportAddress& lists) {
    size_t count = 1;
    for (const auto& [name, field] : kFields) {
        count = std::max(count, splitList(lists.*field).size());
    }
    TransportAddresses addresses(count);
    for (const auto& [name, field] : kFields) {
        const auto values = splitList(lists.*field);
        if (values.size() != 1 && values.size() != count) {
            return makeError(EINVAL,
                             inQuotes(std::string(name) + "=" + lists.*field) + " has " +
                                 std::to_string(values.size()) + " values for " +
                                 std::to_string(count) + " addresses",
                             "give one for all, or one for each");
        }
        for (size_t i = 0; i < count; ++i) {
            addresses[i].*field = values[values.size() == 1 ? 0 : i];
        }
    }
    if (Result<> checked = checkAddresses(addresses); !checked.ok()) return checked.error();
    return addresses;
}

Result<TransportAddresses> parseAddresses(std::string_view text) {
    TransportAddress lists;
    std::set<std::string_view> seen;
    for (std::string_view word = takeWord(text); !word.empty(); word = takeWord(text)) {
        const size_t equals = word.find('=');
        const std::string_view key = word.substr(0, equals);
        const auto known = std::find_if(std::begin(kFields), std::end(kFields),
                                        [&](const auto& field) { return field.first == key; });
        if (known == std::end(kFields) || equals == std::string_view::npos) {
            return makeError(EINVAL, "address argument " + inQuotes(word), kForm);
        }
        if (!seen.insert(key).second) {
            return makeError(EINVAL, "address argument " + inQuotes(word) + " is given twice",
                             kForm);
        }
        lists.*known->second = word.substr(equals + 1);
    }
    auto addresses = expandLists(lists);
    if (addresses.ok()) return addresses;
    return Error{addresses.error().code, addresses.error().message + "; " + kForm};
}

std::string toString(const TransportAddress& address) {
    return "trtype=" + address.trtype + " adrfam=" + address.adrfam + " traddr=" + address.traddr +
           " trsvcid=" + address.trsvcid;
}

std::string toString(const TransportAddresses& addresses) {
    std::string text;
    for (const auto& address : addresses) text += (text.empty() ? "" : ", ") + toString(address);
    return text;
}

}  // namespace mooncake::nvmeof_generic
