// SPDX-License-Identifier: Apache-2.0
#include "write_guards.h"

#include <map>
#include <mutex>

namespace mooncake::nvmeof_generic {

std::shared_ptr<io::WriteGuard> writeGuardOf(const SharedNamespace::Key& key) {
    struct Guards {
        std::mutex mutex;
        std::map<SharedNamespace::Key, std::weak_ptr<io::WriteGuard>> byNamespace;
    };
    // Never destroyed: a static object's engine may outlive it otherwise.
    static auto* const guards = new Guards;
    std::lock_guard lock(guards->mutex);
    if (const auto known = guards->byNamespace.find(key); known != guards->byNamespace.end()) {
        if (auto guard = known->second.lock()) return guard;
    }
    std::erase_if(guards->byNamespace, [](const auto& entry) { return entry.second.expired(); });
    auto guard = makeWriteGuard();
    guards->byNamespace[key] = guard;
    return guard;
}

}  // namespace mooncake::nvmeof_generic
