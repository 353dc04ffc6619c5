// SPDX-License-Identifier: Apache-2.0
// The server's side of TLS.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace mooncake {

// Paths of PEM files; without `cert` there is no TLS.
struct ServerTls {
    std::string cert;       // the server's, with those that lead to its authority
    std::string key;        // the private key of the first one
    std::string client_ca;  // clients have to prove that one of these authorities knows them
};

using TlsContext = std::shared_ptr<SSL_CTX>;

// TLS 1.2 or newer. Null, with the cause in *error, where a file is of no use.
TlsContext makeTlsContext(const ServerTls& tls, std::string* error);

}  // namespace mooncake
