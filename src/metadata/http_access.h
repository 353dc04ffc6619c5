// SPDX-License-Identifier: Apache-2.0
// What an HTTP server asks for before it answers: certificates, a token.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "common/base/status.h"
#include "secret_text.h"

namespace mooncake {

// Paths of PEM files for https; an empty one is not used.
struct HttpTls {
    std::string ca;    // whom to trust, instead of the system's authorities
    std::string cert;  // with which to prove who this node is, and its key
    std::string key;

    bool isSet() const { return !ca.empty() || !cert.empty(); }

    // From `prefix`_CACERT, and `prefix`_CERT and `prefix`_KEY (both or neither); what is unset or
    // empty counts as not given. InvalidArgument, also for a file that cannot be read. Not to be
    // called while another thread changes the environment.
    static Status fromEnvironment(const std::string& prefix, HttpTls* tls);
};

// A token for "Authorization: Bearer". Every function may be called from any thread.
class BearerToken {
 public:
    // From MC_METADATA_TOKEN, or from the file that MC_METADATA_TOKEN_FILE names; null where
    // neither is set. InvalidArgument where both are, for a file that readSecretFile refuses, and
    // for a token with characters that no header can have. Not to be called while another thread
    // changes the environment.
    static Status fromEnvironment(std::shared_ptr<BearerToken>* token);

    BearerToken(SecretText value, std::string path)
        : path_(std::move(path)), value_(std::move(value)) {}

    SecretText value() const;
    // Reads the file again, after `refused` was of no use. Whether there is another token now.
    bool readAgain(const SecretText& refused);

 private:
    const std::string path_;  // empty where it came from the environment
    mutable std::mutex mutex_;
    SecretText value_;
};

// InvalidArgument, naming both, where one of the two is given without the other.
Status checkPair(const char* first_name, bool has_first, const char* second_name, bool has_second);

}  // namespace mooncake
