// SPDX-License-Identifier: Apache-2.0
#include "delayed_io.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "own_thread.h"

namespace aio_shim {
namespace {

using Clock = std::chrono::steady_clock;

struct Later {
    Clock::time_point due;
    io_context_t context;
    std::unique_ptr<iocb> control;
    std::vector<iovec> buffers;
};

class Delays {
 public:
    void add(Later later, Latency latency, bool held) {
        std::unique_lock lock(mutex_);
        const auto now = Clock::now();
        later.due = std::max(now + latency.delay, std::max(now, free_) + latency.transfer);
        free_ = later.due;
        if (held && !released_) {
            held_.push_back(std::move(later));
            return;
        }
        if (!running_) {
            running_ = true;
            startThread("aio-shim-delay", [this] { run(); });
        }
        const bool first = due_.empty();
        due_.push_back(std::move(later));
        lock.unlock();
        if (first) some_.notify_one();
    }
    void release() {
        std::deque<Later> held;
        {
            const std::lock_guard lock(mutex_);
            released_ = true;
            held.swap(held_);
        }
        for (Later& later : held) submit(later);
    }

 private:
    [[noreturn]] void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            if (due_.empty()) {
                some_.wait(lock);
            } else if (const auto due = due_.front().due; due > Clock::now()) {
                some_.wait_until(lock, due);
            } else {
                // They end in the order in which they came.
                Later later = std::move(due_.front());
                due_.pop_front();
                lock.unlock();
                submit(later);
                lock.lock();
            }
        }
    }
    static void submit(Later& later) {
        iocb* controls[] = {later.control.get()};
        if (syscall(SYS_io_submit, later.context, 1, controls) == 1) return;
        // A file system that cannot say whether it would wait, such as tmpfs: it may wait here.
        if (errno == EOPNOTSUPP && (later.control->aio_rw_flags & RWF_NOWAIT) != 0) {
            later.control->aio_rw_flags &= ~static_cast<unsigned>(RWF_NOWAIT);
            if (syscall(SYS_io_submit, later.context, 1, controls) == 1) return;
        }
        fprintf(stderr, "aio_shim: a delayed io_submit failed: %s\n", strerror(errno));
        std::abort();
    }

    std::mutex mutex_;
    std::condition_variable some_;
    std::deque<Later> due_, held_;
    Clock::time_point free_;  // when the device has moved all bytes
    bool running_ = false;
    bool released_ = false;
};

Delays& delays() {
    static auto* const made = new Delays;  // its thread outlives static objects
    return *made;
}

}  // namespace

void submitLater(io_context_t context, const iocb& control, Latency latency, bool held) {
    Later later{{}, context, std::make_unique<iocb>(control), {}};
    if (control.aio_lio_opcode == IO_CMD_PREADV || control.aio_lio_opcode == IO_CMD_PWRITEV) {
        const auto* first = static_cast<const iovec*>(control.u.c.buf);
        later.buffers.assign(first, first + control.u.c.nbytes);
        later.control->u.c.buf = later.buffers.data();
    }
    delays().add(std::move(later), latency, held);
}

void releaseHeld() {
    delays().release();
}

}  // namespace aio_shim
