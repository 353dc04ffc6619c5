// SPDX-License-Identifier: Apache-2.0
#include "etcd_address.h"

#include <algorithm>

namespace mooncake {

namespace {

constexpr uint16_t kDefaultPort = 2379;

// Takes the schemes off the endpoints.
Status splitSchemes(const std::string& list, std::string* scheme, std::string* plain) {
    scheme->clear();
    plain->clear();
    for (size_t begin = 0; begin <= list.size();) {
        const size_t end = std::min(list.find_first_of(",;", begin), list.size());
        std::string one = list.substr(begin, end - begin);
        std::string own = "http";
        for (const char* known : {"https", "http"}) {
            const std::string prefix = std::string(known) + "://";
            if (!one.starts_with(prefix)) continue;
            own = known;
            one.erase(0, prefix.size());
            break;
        }
        // The password would go to one of them in the clear.
        if (!scheme->empty() && *scheme != own) {
            return Status::InvalidArgument(
                "the etcd address has endpoints with and without https://; all of them or none "
                "must have it");
        }
        *scheme = own;
        *plain += (begin == 0 ? "" : ",") + one;
        begin = end + 1;
    }
    return Status::OK();
}

}  // namespace

Status parseEtcdAddress(const std::string& list, const EtcdAccess& access, EtcdAddress* address) {
    // Nothing of such an address is repeated in a message.
    if (list.find('@') != std::string::npos) {
        return Status::InvalidArgument(
            "the etcd address holds a user name or password; set MC_ETCD_USERNAME and "
            "MC_ETCD_PASSWORD instead");
    }
    std::string scheme, plain;
    Status status = splitSchemes(list, &scheme, &plain);
    if (!status.ok()) return status;
    if (access.tls.isSet() && scheme != "https") {
        return Status::InvalidArgument(
            "MC_ETCD_CACERT or MC_ETCD_CERT is set, and the etcd address asks for no TLS; it must "
            "read etcd://https://host:port[,https://host:port...]");
    }
    address->tls = scheme == "https";
    address->endpoints.clear();
    return parseEndpoints("the etcd address", plain, kDefaultPort, &address->endpoints);
}

}  // namespace mooncake
