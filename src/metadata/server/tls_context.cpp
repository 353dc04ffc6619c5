// SPDX-License-Identifier: Apache-2.0
#include "tls_context.h"

#include <openssl/err.h>

namespace mooncake {

namespace {

std::string lastError() {
    char text[256] = "unknown error";
    if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    return text;
}

}  // namespace

TlsContext makeTlsContext(const ServerTls& tls, std::string* error) {
    ERR_clear_error();
    TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    const auto failed = [&](const std::string& what) {
        *error = what + ": " + lastError();
        return TlsContext();
    };
    if (!context) return failed("no TLS");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    // Nobody is to be asked for the passphrase of a key in the middle of a start.
    SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return -1; });
    if (SSL_CTX_use_certificate_chain_file(context.get(), tls.cert.c_str()) != 1) {
        return failed("cannot use the certificate in '" + tls.cert + "'");
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), tls.key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context.get()) != 1) {
        return failed("cannot use the key in '" + tls.key + "' with that certificate");
    }
    if (!tls.client_ca.empty()) {
        if (SSL_CTX_load_verify_locations(context.get(), tls.client_ca.c_str(), nullptr) != 1) {
            return failed("cannot use the authorities in '" + tls.client_ca + "'");
        }
        SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(tls.client_ca.c_str()));
        SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           nullptr);
        const unsigned char own[] = "metadata";
        SSL_CTX_set_session_id_context(context.get(), own, sizeof(own) - 1);
    }
    return context;
}

}  // namespace mooncake
