// SPDX-License-Identifier: Apache-2.0
// Asynchronous I/O as the kernel does it, but under the control of a test: what is taken, what it
// results in, when it completes.
#pragma once

#include <sys/uio.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "aio_syscalls.h"

namespace mooncake::nvmeof_generic::io {

class FakeAio : public AioSyscalls {
 public:
    /// What the kernel copies when it takes an I/O.
    struct Io {
        int fd;
        bool write;
        uint64_t offset;
        std::vector<iovec> vectors;
        unsigned flags;  ///< RWF_*
        void* data;

        uint64_t length() const;
        bool touches(uint64_t from, uint64_t to) const {
            return offset < to && offset + length() > from;
        }
    };

    // The hooks are called without a lock, must be set before there is I/O, and are all optional.
    /// Before a submit takes anything; may block. @return how many of them it may take, or -errno
    std::function<int(const std::vector<Io>&)> onSubmit;
    /// The same for I/O that is not to wait (RWF_NOWAIT). Without it, the device cannot tell.
    std::function<int(const std::vector<Io>&)> onNowait;
    /// When an I/O completes. @return its result; nothing: it is done for real, on the descriptor
    std::function<std::optional<int64_t>(const Io&)> onComplete;
    /// @return whether the I/O completes only at release()
    std::function<bool(const Io&)> isHeld;
    /// @return 0 or -errno
    std::function<int(unsigned entries)> onSetup;
    /// Before a wake(). @return 0 or -errno, with which nobody is woken
    std::function<int()> onWake;

    /// Completes what is held and has the descriptor (-1: any), and holds it no longer.
    void release(int fd = -1);

    /// Waits, within a generous limit, until the condition holds; it is looked at after each call.
    bool waitUntil(const std::function<bool()>& condition);

    size_t submits() const { return locked(submits_); }
    size_t waits() const { return locked(waits_); }      ///< calls of wait() that have begun
    size_t resting() const { return locked(resting_); }  ///< calls of wait() that go on
    size_t wakes() const { return locked(wakes_); }
    /// Of them, those for which the context had no place left; done all the same.
    size_t refusedWakes() const { return locked(refusedWakes_); }
    size_t held() const { return locked(held_).size(); }
    size_t contexts() const { return locked(contexts_); }
    size_t mostInFlight(int fd) const;
    std::vector<Io> log() const { return locked(log_); }

    int setup(unsigned entries, io_context_t* context) override;
    void destroy(io_context_t context) override;
    int submit(io_context_t context, long count, iocb** controls) override;
    int reap(io_context_t context, long most, io_event* events) override;
    int wait(io_context_t context, long most, io_event* events, timespec* limit) override;
    int wake(io_context_t context) override;

 private:
    struct Context {
        unsigned entries;
        std::deque<io_event> events;
        size_t inFlight = 0;
    };
    struct Held {
        Io io;
        Context* context;
    };

    template <class T>
    T locked(const T& value) const {
        std::lock_guard lock(mutex_);
        return value;
    }
    void complete(const Io& io, Context& context);
    static int take(Context& context, long most, io_event* events);

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Held> held_;
    std::vector<Io> log_;
    std::map<int, size_t> inFlight_;
    std::map<int, size_t> mostInFlight_;
    std::map<int, bool> released_;
    size_t submits_ = 0;
    size_t waits_ = 0;
    size_t resting_ = 0;
    size_t wakes_ = 0;
    size_t refusedWakes_ = 0;
    size_t contexts_ = 0;
};

/// Lets a pool own a FakeAio that the test goes on looking at.
std::unique_ptr<AioSyscalls> share(std::shared_ptr<FakeAio> aio);

}  // namespace mooncake::nvmeof_generic::io
