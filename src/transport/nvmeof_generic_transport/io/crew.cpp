// SPDX-License-Identifier: Apache-2.0
#include "crew.h"

#include <string>

namespace mooncake::nvmeof_generic::io {

Crew::~Crew() {
    {
        std::lock_guard lock(mutex_);
        leaving_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

Result<> Crew::ensureSpare() {
    {
        std::lock_guard lock(mutex_);
        if (spare_ > 0) return {};
        ++spare_;
    }
    auto started = startThread("nvmeof-io-" + std::to_string(threads_.size()), [this] { serve(); });
    if (!started.ok()) {
        std::lock_guard lock(mutex_);
        --spare_;
        return started.error();
    }
    threads_.push_back(started.take());
    return {};
}

void Crew::man(Worker& worker) {
    {
        std::lock_guard lock(mutex_);
        --spare_;
        unmanned_.push_back(&worker);
    }
    changed_.notify_one();
}

void Crew::serve() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return leaving_ || !unmanned_.empty(); });
        if (unmanned_.empty()) return;
        Worker* worker = unmanned_.back();
        unmanned_.pop_back();
        lock.unlock();
        worker->run();
        lock.lock();
        ++spare_;
    }
}

}  // namespace mooncake::nvmeof_generic::io
