// SPDX-License-Identifier: Apache-2.0
#include "withdrawals.h"

#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {

Withdrawals::Withdrawals(std::function<void(uint32_t fileId)> withdraw)
    : withdraw_(std::move(withdraw)) {}

Result<> Withdrawals::start() {
    auto started = startThread("nvmeof-withdraw", [this] { run(); });
    if (!started.ok()) return started.error();
    thread_ = started.take();
    return {};
}

void Withdrawals::add(uint32_t fileId) {
    std::lock_guard guard(mutex_);
    if (stopping_) return;
    waiting_.push_back(fileId);
    wake_.notify_one();
}

void Withdrawals::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        const uint32_t fileId = waiting_.front();
        waiting_.pop_front();
        lock.unlock();
        withdraw_(fileId);
        lock.lock();
    }
}

void Withdrawals::stop() {
    {
        std::lock_guard guard(mutex_);
        stopping_ = true;
        wake_.notify_one();
    }
    // No other thread touches it any more.
    if (thread_.joinable()) thread_.join();
}

}  // namespace mooncake::nvmeof_generic
