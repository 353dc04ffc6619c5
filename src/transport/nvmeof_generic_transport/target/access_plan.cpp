// SPDX-License-Identifier: Apache-2.0
#include "access_plan.h"

#include <sys/stat.h>

#include <cerrno>

#include "host_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {

Result<std::set<std::string>> checkHosts(const std::vector<std::string>& hosts) {
    for (const std::string& host : hosts) {
        if (auto checked = checkNqn(host); !checked.ok()) {
            return makeError(EINVAL, "allowed host: " + checked.error().message);
        }
    }
    return std::set<std::string>(hosts.begin(), hosts.end());
}

Result<std::set<std::string>> readHosts(const TargetOptions& options) {
    const std::string& file = options.allowedHostsFile;
    if (file.empty()) return checkHosts(options.allowedHosts);
    if (!options.allowedHosts.empty()) {
        return makeError(EINVAL, "allowed hosts are given as a list and as a file",
                         "give one of the two");
    }
    if (!file.starts_with('/')) {
        return makeError(EINVAL, "file of allowed hosts " + file, "give an absolute path");
    }
    return readHostFile(file, options.pathCheck);
}

Result<HostKey> readHostKey(const std::string& keyFolder, const std::string& hostNqn,
                            PathCheck check) {
    auto key = readKeyFile(keyFolder + "/" + hostNqn, check);
    if (key.ok()) return key;
    return Error{key.error().code,
                 "host " + hostNqn + " gets no access without its key: " + key.error().message};
}

Result<AccessPlan> AccessPlan::make(const TransportAddresses& addresses,
                                    const TargetOptions& options, Step* failedAt) {
    const auto at = [failedAt](Step step) {
        if (failedAt != nullptr) *failedAt = step;
    };
    at(Step::kAddress);
    if (auto checked = checkAddresses(addresses); !checked.ok()) return checked.error();
    const bool anyHost = options.allowedHosts.empty() && options.allowedHostsFile.empty();
    at(Step::kKeys);
    if (anyHost && !options.dhchapKeys.empty()) {
        return makeError(EINVAL, "keys for authentication without a list of allowed hosts",
                         "give the list, too: the kernel asks no host for a key where any may "
                         "connect");
    }
    at(Step::kHosts);
    auto hosts = readHosts(options);
    if (!hosts.ok()) return hosts.error();
    at(Step::kKeys);
    if (!options.dhchapKeys.empty()) {
        struct stat folder;
        const std::string what = "cannot use folder of keys " + inQuotes(options.dhchapKeys);
        if (::stat(options.dhchapKeys.c_str(), &folder) != 0) return makeError(errno, what);
        if (!S_ISDIR(folder.st_mode)) return makeError(ENOTDIR, what);
        for (const std::string& host : hosts.value()) {
            if (auto key = readHostKey(options.dhchapKeys, host, options.pathCheck); !key.ok()) {
                return key.error();
            }
        }
    }
    return AccessPlan{anyHost, hosts.take()};
}

}  // namespace mooncake::nvmeof_generic
