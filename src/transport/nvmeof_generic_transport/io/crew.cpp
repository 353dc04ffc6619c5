// SPDX-License-Identifier: Apache-2.0
#include "crew.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace mooncake::nvmeof_generic::io {

Result<std::thread> startThread(const std::string& name, std::function<void()> body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    Result<std::thread> started = std::thread();
    try {
        started = std::thread([name, body = std::move(body)] {
            pthread_setname_np(pthread_self(), name.c_str());
            body();
        });
    } catch (const std::system_error& failure) {
        started = makeError(failure.code().value(), "starting thread " + name,
                            "raise the limit of threads (ulimit -u, kernel.threads-max)");
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

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
