// SPDX-License-Identifier: Apache-2.0
#include "http_access.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "metadata_storage.h"
#include "secret_file.h"

namespace mooncake {

namespace {

constexpr char kToken[] = "MC_METADATA_TOKEN";

Status takeFile(const std::string& name, std::string* path) {
    *path = environmentText(name);
    if (path->empty() || access(path->c_str(), R_OK) == 0) return Status::OK();
    return Status::InvalidArgument(name + " names '" + logExcerpt(*path) +
                                   "', which cannot be read: " + std::strerror(errno));
}

Status checkToken(const SecretText& token) {
    const std::string_view text = token.view();
    // It becomes part of a header.
    if (std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; })) {
        return Status::OK();
    }
    return Status::InvalidArgument(std::string(kToken) +
                                   ": the token holds a space or an unprintable character");
}

}  // namespace

Status checkPair(const char* first_name, bool has_first, const char* second_name, bool has_second) {
    if (has_first == has_second) return Status::OK();
    if (has_second) std::swap(first_name, second_name);
    return Status::InvalidArgument(std::string(first_name) + " is set and " + second_name +
                                   " is not; set both, or neither");
}

Status HttpTls::fromEnvironment(const std::string& prefix, HttpTls* tls) {
    const std::string cert = prefix + "_CERT", key = prefix + "_KEY";
    Status status = checkPair(cert.c_str(), !environmentText(cert).empty(), key.c_str(),
                              !environmentText(key).empty());
    if (status.ok()) status = takeFile(prefix + "_CACERT", &tls->ca);
    if (status.ok()) status = takeFile(cert, &tls->cert);
    if (status.ok()) status = takeFile(key, &tls->key);
    return status;
}

Status BearerToken::fromEnvironment(std::shared_ptr<BearerToken>* token) {
    SecretText value;
    Status status = secretFromEnvironment(kToken, &value);
    if (status.ok()) status = checkToken(value);
    if (!status.ok() || value.empty()) return status;
    *token = std::make_shared<BearerToken>(std::move(value),
                                           environmentText(std::string(kToken) + "_FILE"));
    return status;
}

SecretText BearerToken::value() const {
    std::lock_guard lock(mutex_);
    return value_;
}

bool BearerToken::readAgain(const SecretText& refused) {
    std::lock_guard lock(mutex_);
    if (value_.view() != refused.view()) return true;  // another thread has
    if (path_.empty()) return false;
    SecretText found;
    Status status = readSecretFile(path_, &found);
    if (status.ok()) status = checkToken(found);
    if (!status.ok()) {
        LOG_EVERY_T(WARNING, 60) << "The metadata server refuses the token, and there is no other: "
                                 << status.message();
        return false;
    }
    if (found.view() == refused.view()) return false;
    value_ = std::move(found);
    return true;
}

}  // namespace mooncake
