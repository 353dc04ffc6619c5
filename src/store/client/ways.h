// SPDX-License-Identifier: Apache-2.0
// By which segment and number this process's engine reaches a file of the store.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "directory_types.h"
#include "transfer_engine.h"

namespace mooncake::store {

struct Way {
    SegmentHandle segment = 0;
    FileBufferID file = 0;
};

// Thread rule: any thread. Asks the metadata service where a mount is new, so that a call may take
// as long as that does.
class Ways {
 public:
    explicit Ways(std::shared_ptr<TransferEngine> engine) : engine_(std::move(engine)) {}

    // Nothing where the segment, or the file in it, cannot be found now.
    std::optional<Way> find(FileNumber file, const Mount& mount);
    // The next find() asks again.
    void forget(FileNumber file);

 private:
    using Clock = std::chrono::steady_clock;
    struct Known {
        Mount mount;
        std::optional<Way> way;
        Clock::time_point found;
    };

    std::optional<Way> ask(const Mount& mount, bool afresh);

    const std::shared_ptr<TransferEngine> engine_;
    std::mutex mutex_;
    std::unordered_map<FileNumber, Known> known_;
};

}  // namespace mooncake::store
