// SPDX-License-Identifier: Apache-2.0
#include "network_list.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr unsigned kMappedBits = 96;  // "::ffff:0:0/96" holds IPv4

Error badNetwork(std::string_view part, const std::string& cause) {
    return makeError(EINVAL, "network " + inQuotes(part) + ": " + cause,
                     "write networks as 10.1.0.0/16,fd00::/8");
}

}  // namespace

bool NetworkList::read(std::string_view text, Bytes& bytes, bool& dotted) {
    // inet_pton reads to the first NUL: what lies behind one would go unchecked.
    if (text.find('\0') != std::string_view::npos) return false;
    const std::string copy(text);
    in_addr v4{};
    dotted = inet_pton(AF_INET, copy.c_str(), &v4) == 1;
    if (!dotted) return inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1;
    bytes = {};
    bytes[10] = bytes[11] = 0xff;
    memcpy(bytes.data() + 12, &v4, sizeof(v4));
    return true;
}

bool NetworkList::isIpv4(const Bytes& bytes) {
    constexpr Bytes kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
    return samePrefix(bytes, kMapped, kMappedBits);
}

bool NetworkList::samePrefix(const Bytes& a, const Bytes& b, unsigned bits) {
    const unsigned whole = bits / 8, rest = bits % 8;
    if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

Result<NetworkList> NetworkList::parse(std::string_view text) {
    NetworkList list;
    while (true) {
        const std::string_view part = text.substr(0, text.find(','));
        const size_t slash = part.find('/');
        Network network{};
        bool dotted = false;
        if (!read(part.substr(0, slash), network.bytes, dotted)) {
            return badNetwork(part, "it is no numeric IPv4 or IPv6 address");
        }
        const unsigned most = dotted ? 32 : 128;
        network.bits = most;
        if (slash != std::string_view::npos) {
            const std::string_view digits = part.substr(slash + 1);
            const auto [end, error] =
                std::from_chars(digits.data(), digits.data() + digits.size(), network.bits);
            if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
                network.bits > most) {
                return badNetwork(part, "the prefix takes 0 to " + std::to_string(most) + " bits");
            }
        }
        if (dotted) network.bits += kMappedBits;
        Bytes masked = network.bytes;
        for (unsigned bit = network.bits; bit < 128; ++bit) {
            masked[bit / 8] = static_cast<uint8_t>(masked[bit / 8] & ~(0x80u >> bit % 8));
        }
        if (masked != network.bytes) {
            return badNetwork(part, "there are bits behind its prefix");
        }
        list.networks_.push_back(network);
        if (part.size() == text.size()) return list;
        text.remove_prefix(part.size() + 1);
    }
}

bool NetworkList::contains(const TransportAddress& address) const {
    if (networks_.empty()) return true;
    Bytes bytes{};
    bool dotted = false;
    // The interface behind '%' does not make it another address.
    const std::string_view text = address.traddr;
    if (!read(text.substr(0, text.find('%')), bytes, dotted)) return false;
    return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
        const bool sameFamily =
            isIpv4(bytes) == (network.bits >= kMappedBits && isIpv4(network.bytes));
        return sameFamily && samePrefix(bytes, network.bytes, network.bits);
    });
}

}  // namespace mooncake::nvmeof_generic
