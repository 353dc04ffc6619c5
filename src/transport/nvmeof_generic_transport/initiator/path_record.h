// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "path.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace mooncake::nvmeof_generic {

/// What one path has been through, and which controller it is now. Thread-safe.
class PathRecord {
 public:
    explicit PathRecord(const Path& path);

    /// @param dir  the controller's opened folder in sysfs; stays the caller's
    /// @param subsystem  that of its subsystem; null where the kernel joins no paths
    void connected(const std::string& controller, int dir,
                   std::shared_ptr<const UniqueFd> subsystem);
    void failed();  ///< an attempt to connect
    void lost();    ///< it was up and is not any more

    /// @return its counters, and what the kernel says of its controller now
    PathStats read() const;

 private:
    const std::string address_;
    mutable std::mutex mutex_;
    PathStats counts_;                           // guarded by mutex_
    std::shared_ptr<const UniqueFd> dir_;        // guarded by mutex_; null: it has no controller
    std::shared_ptr<const UniqueFd> subsystem_;  // guarded by mutex_
};

/// The paths of a connection. Owns nothing of them.
class PathRecords final : public PathBoard {
 public:
    explicit PathRecords(std::vector<std::shared_ptr<const PathRecord>> records)
        : records_(std::move(records)) {}
    std::vector<PathStats> read() const override {
        std::vector<PathStats> all;
        for (const auto& record : records_) all.push_back(record->read());
        return all;
    }

 private:
    const std::vector<std::shared_ptr<const PathRecord>> records_;
};

}  // namespace mooncake::nvmeof_generic
