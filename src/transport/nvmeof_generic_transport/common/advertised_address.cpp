// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/advertised_address.h"

#include <algorithm>
#include <cerrno>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kForm[] =
    "expected a numeric address that other hosts can use, with a port or without: 192.0.2.10, "
    "192.0.2.10:30420, 2001:db8::10 or [2001:db8::10]:30420";

}  // namespace

Result<TransportAddress> publishedAddress(const TransportAddress& listen,
                                          std::string_view advertise) {
    if (advertise.empty()) {
        const bool everywhere = isUnspecified(listen);
        if (!everywhere && !isScoped(listen)) return listen;
        return makeError(EINVAL, "traddr=" + listen.traddr,
                         std::string(everywhere ? "it stands for every address of this host"
                                                : "it names an interface of this host") +
                             ", which says nothing to others: say which address they shall use "
                             "with advertise=<address>");
    }
    TransportAddress published = listen;
    std::string_view address = advertise, port;
    bool hasPort = false;
    const auto colons = std::count(advertise.begin(), advertise.end(), ':');
    if (advertise.starts_with('[')) {
        const size_t end = advertise.find(']');
        const std::string_view rest =
            end == std::string_view::npos ? "?" : advertise.substr(end + 1);
        if (!rest.empty() && !rest.starts_with(':')) {
            return makeError(EINVAL, "advertise=" + inQuotes(advertise), kForm);
        }
        address = advertise.substr(1, end - 1);
        hasPort = !rest.empty();
        port = hasPort ? rest.substr(1) : rest;
        published.adrfam = "ipv6";
    } else if (colons > 1) {
        published.adrfam = "ipv6";
    } else {
        const size_t colon = std::min(advertise.find(':'), advertise.size());
        address = advertise.substr(0, colon);
        hasPort = colon != advertise.size();
        port = hasPort ? advertise.substr(colon + 1) : port;
        published.adrfam = "ipv4";
    }
    published.traddr = address;
    if (hasPort) published.trsvcid = port;
    if (!checkAddress(published).ok() || isScoped(published) || isUnspecified(published)) {
        return makeError(EINVAL, "advertise=" + inQuotes(advertise), kForm);
    }
    return published;
}

Result<TransportAddresses> publishedAddresses(const TransportAddresses& listen,
                                              std::string_view advertise) {
    const auto given = static_cast<size_t>(std::count(advertise.begin(), advertise.end(), ',')) + 1;
    if (!advertise.empty() && given != listen.size()) {
        return makeError(EINVAL, "advertise=" + inQuotes(advertise),
                         "it has " + std::to_string(given) + " addresses for the " +
                             std::to_string(listen.size()) +
                             " of traddr: give one for each, in the same order");
    }
    TransportAddresses published;
    for (const TransportAddress& address : listen) {
        const std::string_view one = advertise.substr(0, advertise.find(','));
        if (!advertise.empty() && one.empty()) {
            return makeError(EINVAL, "advertise=", "an address of its list is empty");
        }
        auto taken = publishedAddress(address, one);
        if (!taken.ok()) return taken.error();
        published.push_back(taken.take());
        advertise.remove_prefix(std::min(one.size() + 1, advertise.size()));
    }
    if (auto checked = checkAddresses(published); !checked.ok()) return checked.error();
    return published;
}

}  // namespace mooncake::nvmeof_generic
