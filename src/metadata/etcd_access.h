// SPDX-License-Identifier: Apache-2.0
// What etcd asks for before it answers: a login, certificates.
#pragma once

#include "common/base/status.h"
#include "http_access.h"

namespace mooncake {

struct EtcdAccess {
    SecretText user;  // empty: no login
    SecretText password;
    HttpTls tls;

    // From MC_ETCD_USERNAME and MC_ETCD_PASSWORD (both or neither), each of them or the file that
    // it names with _FILE behind it, MC_ETCD_CACERT, and MC_ETCD_CERT and MC_ETCD_KEY (both or
    // neither); what is unset or empty counts as not given. InvalidArgument, also for a file that
    // cannot be read. Not to be called while another thread changes the environment.
    static Status fromEnvironment(EtcdAccess* access);
};

}  // namespace mooncake
