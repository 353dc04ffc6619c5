// SPDX-License-Identifier: Apache-2.0
#include "etcd_access.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "metadata_storage.h"

namespace mooncake {

namespace {

std::string environment(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? "" : text;
}

Status takePair(const char* first_name, std::string* first, const char* second_name,
                std::string* second) {
    *first = environment(first_name);
    *second = environment(second_name);
    if (first->empty() == second->empty()) return Status::OK();
    if (first->empty()) std::swap(first_name, second_name);
    return Status::InvalidArgument(std::string(first_name) + " is set and " + second_name +
                                   " is not; set both, or neither");
}

Status takeFile(const char* name, std::string* path) {
    *path = environment(name);
    if (path->empty() || access(path->c_str(), R_OK) == 0) return Status::OK();
    return Status::InvalidArgument(std::string(name) + " names '" + logExcerpt(*path) +
                                   "', which cannot be read: " + std::strerror(errno));
}

}  // namespace

Status EtcdAccess::fromEnvironment(EtcdAccess* access) {
    Status status =
        takePair("MC_ETCD_USERNAME", &access->user, "MC_ETCD_PASSWORD", &access->password);
    if (status.ok()) {
        status = takePair("MC_ETCD_CERT", &access->tls.cert, "MC_ETCD_KEY", &access->tls.key);
    }
    if (status.ok()) status = takeFile("MC_ETCD_CACERT", &access->tls.ca);
    if (status.ok()) status = takeFile("MC_ETCD_CERT", &access->tls.cert);
    if (status.ok()) status = takeFile("MC_ETCD_KEY", &access->tls.key);
    return status;
}

}  // namespace mooncake
