// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "kernel_connection.h"
#include "path.h"

namespace mooncake::nvmeof_generic {

/// The paths that were taken last of subsystems that are used over one path at a time. Who connects
/// anew should rather take another one than the one that has just failed: it may answer and all the
/// same lose what I/O is made of. Thread-safe.
class LastPaths {
 public:
    void connected(const std::string& subsystemNqn, const Path& path,
                   std::weak_ptr<const KernelConnection> connection);
    /// It could not be connected, though it had answered.
    void refused(const std::string& subsystemNqn, const Path& path);

    /// Whether it was refused within a minute, or somebody still has a connection over it that is
    /// at its end.
    bool hasFailed(const std::string& subsystemNqn, const Path& path);

 private:
    using Clock = std::chrono::steady_clock;
    struct Last {
        std::string subsystemNqn;
        Path path;
        std::weak_ptr<const KernelConnection> connection;
        Clock::time_point refusedUntil{};
    };
    void add(Last last);

    std::mutex mutex_;
    std::list<Last> all_;  // guarded by mutex_
};

}  // namespace mooncake::nvmeof_generic
