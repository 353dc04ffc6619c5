// SPDX-License-Identifier: Apache-2.0
#include "last_paths.h"

#include <utility>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

// After that it is as good as any.
constexpr std::chrono::minutes kRefusalCounts{1};

}  // namespace

void LastPaths::add(Last last) {
    const std::lock_guard guard(mutex_);
    // Each restarted target has a new NQN.
    std::erase_if(all_, [now = Clock::now()](const Last& one) {
        return one.connection.expired() && one.refusedUntil <= now;
    });
    all_.push_back(std::move(last));
}

void LastPaths::connected(const std::string& subsystemNqn, const Path& path,
                          std::weak_ptr<const KernelConnection> connection) {
    add({subsystemNqn, path, std::move(connection)});
}

void LastPaths::refused(const std::string& subsystemNqn, const Path& path) {
    add({subsystemNqn, path, {}, Clock::now() + kRefusalCounts});
}

bool LastPaths::hasFailed(const std::string& subsystemNqn, const Path& path) {
    std::vector<std::shared_ptr<const KernelConnection>> connections;
    {
        const std::lock_guard guard(mutex_);
        for (const Last& one : all_) {
            if (one.subsystemNqn != subsystemNqn || !(one.path == path)) continue;
            if (one.refusedUntil > Clock::now()) return true;
            if (auto connection = one.connection.lock()) connections.push_back(connection);
        }
    }
    // Never under the lock: it reads files, and the last use of a connection may end here.
    for (const auto& connection : connections) {
        if (!connection->isUsable()) return true;
    }
    return false;
}

}  // namespace mooncake::nvmeof_generic
