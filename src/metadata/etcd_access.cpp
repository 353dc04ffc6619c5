// SPDX-License-Identifier: Apache-2.0
#include "etcd_access.h"

#include "secret_file.h"

namespace mooncake {

Status EtcdAccess::fromEnvironment(EtcdAccess* access) {
    Status status = secretFromEnvironment("MC_ETCD_USERNAME", &access->user);
    if (status.ok()) status = secretFromEnvironment("MC_ETCD_PASSWORD", &access->password);
    if (status.ok()) {
        status = checkPair("MC_ETCD_USERNAME", !access->user.empty(), "MC_ETCD_PASSWORD",
                           !access->password.empty());
    }
    if (status.ok()) status = HttpTls::fromEnvironment("MC_ETCD", &access->tls);
    return status;
}

}  // namespace mooncake
