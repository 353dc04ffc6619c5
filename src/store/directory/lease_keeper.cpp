// SPDX-License-Identifier: Apache-2.0
#include "lease_keeper.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "thread.h"

namespace mooncake::store {

Result<> LeaseKeeper::start(ClientId client, BootClock::time_point end) {
    stop();
    const std::lock_guard life(life_);
    {
        const std::lock_guard lock(mutex_);
        stopping_ = false;
        lease_ = {client, end};
    }
    auto started = startThread("store-lease", [this] { run(); });
    if (!started) {
        const std::lock_guard lock(mutex_);
        lease_ = {};
        return tl::unexpected(started.error());
    }
    thread_ = std::move(*started);
    return {};
}

ClientId LeaseKeeper::stop() {
    const std::lock_guard life(life_);
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    const std::lock_guard lock(mutex_);
    return std::exchange(lease_, Lease()).client;
}

Lease LeaseKeeper::lease() const {
    const std::lock_guard lock(mutex_);
    return lease_;
}

void LeaseKeeper::run() {
    const auto period = duration_ / 3;
    auto pause = period;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) {
        const ClientId client = lease_.client;
        lock.unlock();
        const auto end = withoutThrowing(
            [&] { return renew_(client, std::chrono::steady_clock::now() + period); });
        lock.lock();
        counters_->add(&DirectoryStatistics::renewals);
        pause = end ? period : period / 4;
        if (end) {
            lease_.end = std::max(lease_.end, *end);
        } else if (end.error().failure == Failure::kLeaseLost) {
            counters_->add(&DirectoryStatistics::leases_lost);
            LOG(WARNING) << "store directory: " << end.error().message;
            lease_ = {};
            return;
        }
    }
}

}  // namespace mooncake::store
