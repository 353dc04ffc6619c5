// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Takes files that the target has lost out of the published record, on a thread of its own: the
/// metadata service may be slow, and whoever notices the loss has other files to look after.
/// Thread-safe.
class Withdrawals {
 public:
    /// @param withdraw  may block; called for one file at a time
    explicit Withdrawals(std::function<void(uint32_t fileId)> withdraw);
    ~Withdrawals() { stop(); }
    Withdrawals(const Withdrawals&) = delete;
    Withdrawals& operator=(const Withdrawals&) = delete;

    /// Before any file can be lost. @return as startThread()
    Result<> start();

    /// Never blocks. Does nothing after stop().
    void add(uint32_t fileId);

    /// Waits for a call of `withdraw` under way, and makes no more.
    void stop();

 private:
    void run();

    const std::function<void(uint32_t)> withdraw_;
    std::mutex mutex_;  // of what follows
    std::condition_variable wake_;
    std::deque<uint32_t> waiting_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
