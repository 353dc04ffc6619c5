// SPDX-License-Identifier: Apache-2.0
// A kernel that takes no time, for measurements of everything else.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "aio_syscalls.h"

namespace mooncake::nvmeof_generic::io {

/// Completes everything at once, in full; takes nothing while it is full itself. What costs here
/// counts as the pool's: a mutex and a queue.
class InstantAio final : public AioSyscalls {
 public:
    int setup(unsigned, io_context_t* context) override {
        *context = reinterpret_cast<io_context_t>(new Context);
        return 0;
    }
    void destroy(io_context_t context) override { delete &of(context); }
    int submit(io_context_t context, long count, iocb** controls) override {
        if (full_.load(std::memory_order_relaxed)) return -EAGAIN;
        Context& there = of(context);
        {
            std::lock_guard lock(there.mutex);
            for (long i = 0; i < count; ++i) {
                const iocb& control = *controls[i];
                there.events.push_back({control.data, nullptr, bytesOf(control), 0});
            }
        }
        there.some.store(true, std::memory_order_release);
        return static_cast<int>(count);
    }
    int reap(io_context_t context, long most, io_event* events) override {
        Context& from = of(context);
        if (!from.some.load(std::memory_order_acquire)) return 0;
        std::lock_guard lock(from.mutex);
        int count = 0;
        while (count < most && !from.events.empty()) {
            events[count++] = from.events.front();
            from.events.pop_front();
        }
        if (from.events.empty()) from.some.store(false, std::memory_order_relaxed);
        return count;
    }
    int wait(io_context_t context, long most, io_event* events, timespec* limit) override {
        if (const int count = reap(context, most, events)) return count;
        Context& here = of(context);
        std::unique_lock lock(here.mutex);
        const auto woken = [&here] { return here.wake; };
        if (limit == nullptr) {
            here.woken.wait(lock, woken);
        } else {
            here.woken.wait_for(lock, std::chrono::nanoseconds(limit->tv_nsec), woken);
        }
        here.wake = false;
        return 0;
    }
    int wake(io_context_t context) override {
        Context& there = of(context);
        std::lock_guard lock(there.mutex);
        there.wake = true;
        there.woken.notify_one();
        return 0;
    }

    void setFull(bool full) { full_.store(full, std::memory_order_relaxed); }

 private:
    struct Context {
        std::mutex mutex;
        std::deque<io_event> events;
        std::atomic<bool> some{false};
        std::condition_variable woken;
        bool wake = false;
    };
    static Context& of(io_context_t context) { return *reinterpret_cast<Context*>(context); }

    static unsigned long bytesOf(const iocb& control) {
        if (control.aio_lio_opcode != IO_CMD_PREADV && control.aio_lio_opcode != IO_CMD_PWRITEV) {
            return control.u.c.nbytes;
        }
        const auto* vectors = static_cast<const iovec*>(control.u.c.buf);
        unsigned long bytes = 0;
        for (unsigned long v = 0; v < control.u.c.nbytes; ++v) bytes += vectors[v].iov_len;
        return bytes;
    }

    std::atomic<bool> full_{false};
};

}  // namespace mooncake::nvmeof_generic::io
