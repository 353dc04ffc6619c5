// SPDX-License-Identifier: Apache-2.0
#include "bounded_thread.h"

#include <condition_variable>
#include <mutex>
#include <utility>

#include "transport/nvmeof_generic_transport/common/keep_library.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {

/// Shared with the thread, which may outlive the object.
struct BoundedThread::State {
    std::mutex mutex;  // of what follows
    std::condition_variable changed;
    std::function<void()> work;
    bool busy = false;
    bool leaving = false;

    void serve() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [this] { return busy || leaving; });
            if (!busy) return;
            auto current = std::exchange(work, nullptr);
            lock.unlock();
            current();
            current = nullptr;
            lock.lock();
            busy = false;
            changed.notify_all();
        }
    }
};

BoundedThread::BoundedThread(std::shared_ptr<State> state, std::thread thread)
    : state_(std::move(state)), thread_(std::move(thread)) {}

Result<std::unique_ptr<BoundedThread>> BoundedThread::start(const std::string& name) {
    auto state = std::make_shared<State>();
    auto started = startThread(name, [state] { state->serve(); });
    if (!started.ok()) return started.error();
    return std::unique_ptr<BoundedThread>(new BoundedThread(std::move(state), started.take()));
}

BoundedThread::~BoundedThread() {
    bool busy;
    {
        std::lock_guard guard(state_->mutex);
        state_->leaving = true;
        busy = state_->busy;
    }
    state_->changed.notify_all();
    if (busy) {
        keepThisLibrary();
        thread_.detach();
    } else {
        thread_.join();
    }
}

void BoundedThread::run(std::function<void()> work) {
    {
        std::lock_guard guard(state_->mutex);
        state_->work = std::move(work);
        state_->busy = true;
    }
    state_->changed.notify_all();
}

bool BoundedThread::endsWithin(std::chrono::milliseconds limit) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, limit, [this] { return !state_->busy; });
}

}  // namespace mooncake::nvmeof_generic
