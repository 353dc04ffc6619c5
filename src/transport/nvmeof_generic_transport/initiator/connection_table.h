// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "kernel_connection.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// The connections of this process by connectionKey(), so that all who want the same one share it.
/// Thread-safe; no lock is held while a connection is made, checked or ended.
class ConnectionTable {
 public:
    using Connected = Result<std::shared_ptr<KernelConnection>>;

    /// The usable connection to a subsystem, or the result of `make`. Of several callers at the
    /// same time one makes it, the others wait for the same result.
    /// @param stop  ends this caller's wait with ECANCELED
    Connected get(const std::string& key, const std::stop_token& stop,
                  const std::function<Connected()>& make);

    /// Keys known now: those with a connection or somebody who is making one, and at most one
    /// more. Each restarted target has a new NQN, so that it must not keep the others.
    size_t size() const;

 private:
    struct Attempt {  // fields guarded by mutex_
        std::optional<Connected> result;
    };
    struct Entry {
        std::weak_ptr<KernelConnection> connection;
        std::shared_ptr<Attempt> attempt;  // null: nobody is connecting
    };

    Connected makeOne(std::unique_lock<std::mutex>& lock, const std::string& key,
                      const std::function<Connected()>& make);
    void dropEnded();

    mutable std::mutex mutex_;
    std::condition_variable_any attemptEnded_;
    std::unordered_map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace mooncake::nvmeof_generic
