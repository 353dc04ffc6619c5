// SPDX-License-Identifier: Apache-2.0
#include "host_access.h"

#include <glog/logging.h>

#include "access_plan.h"

namespace mooncake::nvmeof_generic {

HostAccess::HostAccess(const NvmetTree& tree, std::string subsystemNqn, std::string keyFolder,
                       PathCheck pathCheck)
    : tree_(tree),
      subsystemNqn_(std::move(subsystemNqn)),
      keyFolder_(std::move(keyFolder)),
      pathCheck_(pathCheck) {}

Result<std::unique_ptr<AllowedHost>> HostAccess::allow(const std::string& hostNqn) const {
    if (keyFolder_.empty()) return AllowedHost::allow(tree_, subsystemNqn_, hostNqn, nullptr);
    const auto key = readHostKey(keyFolder_, hostNqn, pathCheck_);
    if (!key.ok()) return key.error();
    return AllowedHost::allow(tree_, subsystemNqn_, hostNqn, &key.value());
}

Result<> HostAccess::takeOff(const std::set<std::string>& wanted, Ports& ports) {
    for (auto host = hosts_.begin(); host != hosts_.end();) {
        if (wanted.contains(host->first)) {
            ++host;
            continue;
        }
        // Even a failed revocation may have taken effect.
        for (const auto& port : ports.all()) toCut_.insert(port.get());
        note(host->first, false);
        if (auto revoked = host->second->revoke(); !revoked.ok()) return revoked;
        LOG(INFO) << "Host " << host->first << " may no longer connect to " << subsystemNqn_;
        host = hosts_.erase(host);
    }
    // nvmet looks at the list when a host connects, and never again: a connection that stands ends
    // only with the link of its port, which is that of all hosts.
    return toCut_.empty() ? Result<>() : ports.relink(subsystemNqn_, toCut_);
}

Result<> HostAccess::set(const std::set<std::string>& wanted, Ports& ports) {
    std::lock_guard guard(mutex_);
    Result<> result = takeOff(wanted, ports);
    for (const std::string& nqn : wanted) {
        if (hosts_.contains(nqn)) continue;
        auto allowed = allow(nqn);
        if (allowed.ok()) {
            hosts_.emplace(nqn, allowed.take());
            note(nqn, true);
        } else if (result.ok()) {
            result = allowed.error();
        }
    }
    return result;
}

void HostAccess::note(const std::string& hostNqn, bool isAllowed) {
    std::lock_guard guard(allowedMutex_);
    ++allowed_.version;
    if (isAllowed) {
        allowed_.hosts.insert(hostNqn);
    } else {
        allowed_.hosts.erase(hostNqn);
    }
}

HostAccess::Allowed HostAccess::allowed() const {
    std::lock_guard guard(allowedMutex_);
    return allowed_;
}

}  // namespace mooncake::nvmeof_generic
