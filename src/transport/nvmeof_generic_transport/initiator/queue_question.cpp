// SPDX-License-Identifier: Apache-2.0
#include "queue_question.h"

#include <fcntl.h>
#include <glog/logging.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "transport/nvmeof_generic_transport/common/keep_library.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// For the answers: the kernel's time limit for a question, up to a second until it looks, and what
// it takes to take a connection down.
constexpr std::chrono::seconds kLimit{3};

}  // namespace

/// Shared with the thread, which may outlive everybody else.
struct QueueQuestion::State {
    std::shared_ptr<Fabrics> fabrics;
    UniqueFd controllerDir;
    std::shared_ptr<const UniqueFd> device;

    std::mutex mutex;
    std::condition_variable answered;
    bool done = false;  // guarded by mutex

    void run() {
        fabrics->provokeIoAnswers(controllerDir.get(), device->get());
        device = nullptr;
        std::lock_guard lock(mutex);
        done = true;
        answered.notify_all();
    }
    bool wait(std::chrono::milliseconds limit) {
        std::unique_lock lock(mutex);
        return answered.wait_for(lock, limit, [this] { return done; });
    }
};

QueueQuestion::~QueueQuestion() {
    constexpr std::chrono::milliseconds kMoment{500};
    if (!state_) return;
    if (state_->wait(kMoment)) {
        thread_.join();
    } else {
        thread_.detach();
        keepThisLibrary();
    }
}

bool QueueQuestion::ask(const std::shared_ptr<Fabrics>& fabrics, int controllerDir,
                        const std::shared_ptr<const UniqueFd>& device) {
    const bool asks = !state_;
    if (asks) {
        UniqueFd dir(fcntl(controllerDir, F_DUPFD_CLOEXEC, 0));
        if (!dir.valid()) return true;
        auto state = std::make_shared<State>();
        state->fabrics = fabrics;
        state->controllerDir = std::move(dir);
        state->device = device;
        auto started = startThread("nvmeof-ask", [state] { state->run(); });
        if (!started.ok()) {
            LOG_EVERY_T(WARNING, 60)
                << "cannot ask whether I/O queues answer: " << started.error().message;
            return true;
        }
        thread_ = started.take();
        state_ = std::move(state);
    }
    // Who asks has other things to do than to wait for the same full queue again and again.
    if (!state_->wait(asks ? kLimit : std::chrono::milliseconds(0))) return false;
    thread_.join();
    state_ = nullptr;
    return true;
}

}  // namespace mooncake::nvmeof_generic
