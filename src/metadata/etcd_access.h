// SPDX-License-Identifier: Apache-2.0
// What etcd asks for before it answers: a login, certificates.
#pragma once

#include <string>

#include "common/base/status.h"
#include "http_client.h"

namespace mooncake {

struct EtcdAccess {
    std::string user;  // empty: no login
    std::string password;
    HttpTls tls;

    // From MC_ETCD_USERNAME and MC_ETCD_PASSWORD (both or neither), MC_ETCD_CACERT, and
    // MC_ETCD_CERT and MC_ETCD_KEY (both or neither); what is unset or empty counts as not given.
    // InvalidArgument, also for a file that cannot be read. Not to be called while another thread
    // changes the environment.
    static Status fromEnvironment(EtcdAccess* access);

    bool usesTls() const { return !tls.ca.empty() || !tls.cert.empty(); }
};

}  // namespace mooncake
