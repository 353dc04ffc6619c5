// SPDX-License-Identifier: Apache-2.0
// Which servers an etcd has, and whether they are spoken to under TLS.
#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "endpoints.h"
#include "etcd_access.h"

namespace mooncake {

struct EtcdAddress {
    bool tls = false;
    std::vector<StoreEndpoint> endpoints;
};

// Reads host:port[,host:port...], each with or each without https:// (or http://) before it; the
// port is 2379 where it is missing. InvalidArgument for a malformed one, and for certificates
// without https. Thread-safe.
Status parseEtcdAddress(const std::string& list, const EtcdAccess& access, EtcdAddress* address);

}  // namespace mooncake
