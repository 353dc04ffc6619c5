// SPDX-License-Identifier: Apache-2.0
// Connections that nobody uses at the moment, kept for the next request.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace mooncake {

// Every function may be called from any thread.
template <typename Connection, typename Deleter = std::default_delete<Connection>>
class IdlePool {
 public:
    using Pointer = std::unique_ptr<Connection, Deleter>;

    // Null where there is none.
    Pointer take() {
        std::lock_guard lock(mutex_);
        if (idle_.empty()) return nullptr;
        Pointer connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
    }

    // One that is beyond the limit is closed.
    void put(Pointer connection) {
        std::lock_guard lock(mutex_);
        if (idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
    }

    // For the others when one turns out to be dead: its server may have been restarted.
    void clear() {
        std::vector<Pointer> closing;
        std::lock_guard lock(mutex_);
        closing.swap(idle_);
    }

 private:
    static constexpr std::size_t kMaxIdle = 4;
    std::mutex mutex_;
    std::vector<Pointer> idle_;
};

}  // namespace mooncake
