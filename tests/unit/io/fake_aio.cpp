// SPDX-License-Identifier: Apache-2.0
#include "fake_aio.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr std::chrono::seconds kLimit{60};

FakeAio::Io copyOf(const iocb& control) {
    FakeAio::Io io{control.aio_fildes,   false,       static_cast<uint64_t>(control.u.c.offset), {},
                   control.aio_rw_flags, control.data};
    switch (control.aio_lio_opcode) {
        case IO_CMD_PWRITE:
        case IO_CMD_PWRITEV:
            io.write = true;
            break;
        default:
            break;
    }
    if (control.aio_lio_opcode == IO_CMD_PREADV || control.aio_lio_opcode == IO_CMD_PWRITEV) {
        const auto* vectors = static_cast<const iovec*>(control.u.c.buf);
        io.vectors.assign(vectors, vectors + control.u.c.nbytes);
    } else {
        io.vectors.push_back({control.u.c.buf, control.u.c.nbytes});
    }
    return io;
}

class Shared final : public AioSyscalls {
 public:
    explicit Shared(std::shared_ptr<FakeAio> aio) : aio_(std::move(aio)) {}
    int setup(unsigned entries, io_context_t* context) override {
        return aio_->setup(entries, context);
    }
    void destroy(io_context_t context) override { aio_->destroy(context); }
    int submit(io_context_t context, long count, iocb** controls) override {
        return aio_->submit(context, count, controls);
    }
    int reap(io_context_t context, long most, io_event* events) override {
        return aio_->reap(context, most, events);
    }
    int wait(io_context_t context, long most, io_event* events, timespec* limit) override {
        return aio_->wait(context, most, events, limit);
    }
    int wake(io_context_t context) override { return aio_->wake(context); }

 private:
    const std::shared_ptr<FakeAio> aio_;
};

}  // namespace

uint64_t FakeAio::Io::length() const {
    uint64_t sum = 0;
    for (const iovec& vector : vectors) sum += vector.iov_len;
    return sum;
}

void FakeAio::release(int fd) {
    std::vector<Held> released;
    {
        std::lock_guard lock(mutex_);
        released_[fd] = true;
        const auto rest = std::stable_partition(held_.begin(), held_.end(), [fd](const Held& held) {
            return fd >= 0 && held.io.fd != fd;
        });
        released.assign(std::make_move_iterator(rest), std::make_move_iterator(held_.end()));
        held_.erase(rest, held_.end());
    }
    for (const Held& each : released) complete(each.io, *each.context);
}

bool FakeAio::waitUntil(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + kLimit;
    while (!condition()) {
        std::unique_lock lock(mutex_);
        // Conditions may depend on more than this object: look again now and then.
        changed_.wait_for(lock, std::chrono::milliseconds(2));
        if (std::chrono::steady_clock::now() > until) return false;
    }
    return true;
}

size_t FakeAio::mostInFlight(int fd) const {
    std::lock_guard lock(mutex_);
    const auto found = mostInFlight_.find(fd);
    return found == mostInFlight_.end() ? 0 : found->second;
}

int FakeAio::setup(unsigned entries, io_context_t* context) {
    if (onSetup) {
        if (const int result = onSetup(entries); result != 0) return result;
    }
    std::lock_guard lock(mutex_);
    ++contexts_;
    *context = reinterpret_cast<io_context_t>(new Context{entries, {}, 0});
    return 0;
}

void FakeAio::destroy(io_context_t context) {
    std::lock_guard lock(mutex_);
    --contexts_;
    delete reinterpret_cast<Context*>(context);
}

int FakeAio::submit(io_context_t handle, long count, iocb** controls) {
    auto& context = *reinterpret_cast<Context*>(handle);
    std::vector<Io> taken;
    for (long i = 0; i < count; ++i) taken.push_back(copyOf(*controls[i]));
    const bool nowait = (taken.front().flags & RWF_NOWAIT) != 0;
    if (nowait || onSubmit) {
        const int most = !nowait ? onSubmit(taken) : onNowait ? onNowait(taken) : -EOPNOTSUPP;
        if (most <= 0) {
            std::lock_guard lock(mutex_);
            ++submits_;
            changed_.notify_all();
            return most;
        }
        taken.resize(std::min<size_t>(taken.size(), most));
    }
    std::vector<Io> now;
    {
        std::lock_guard lock(mutex_);
        ++submits_;
        // The real one may take more than asked for; a user that relies on it is wrong.
        if (context.inFlight >= context.entries) return -EAGAIN;
        if (taken.size() > context.entries - context.inFlight) {
            taken.resize(context.entries - context.inFlight);
        }
        context.inFlight += taken.size();
        for (const Io& io : taken) {
            size_t& most = mostInFlight_[io.fd];
            most = std::max(most, ++inFlight_[io.fd]);
            log_.push_back(io);
            if (isHeld && !released_[-1] && !released_[io.fd] && isHeld(io)) {
                held_.push_back({io, &context});
            } else {
                now.push_back(io);
            }
        }
        changed_.notify_all();
    }
    for (const Io& io : now) complete(io, context);
    return static_cast<int>(taken.size());
}

void FakeAio::complete(const Io& io, Context& context) {
    std::optional<int64_t> result;
    if (onComplete) result = onComplete(io);
    if (!result) {
        const auto count = static_cast<int>(io.vectors.size());
        const auto offset = static_cast<off_t>(io.offset);
        result = io.write ? pwritev(io.fd, io.vectors.data(), count, offset)
                          : preadv(io.fd, io.vectors.data(), count, offset);
        if (*result < 0) result = -errno;
    }
    std::lock_guard lock(mutex_);
    --inFlight_[io.fd];
    --context.inFlight;
    context.events.push_back({io.data, nullptr, static_cast<unsigned long>(*result), 0});
    changed_.notify_all();
}

int FakeAio::take(Context& context, long most, io_event* events) {
    int count = 0;
    while (count < most && !context.events.empty()) {
        events[count++] = context.events.front();
        context.events.pop_front();
    }
    return count;
}

int FakeAio::reap(io_context_t handle, long most, io_event* events) {
    std::lock_guard lock(mutex_);
    return take(*reinterpret_cast<Context*>(handle), most, events);
}

int FakeAio::wait(io_context_t handle, long most, io_event* events, timespec* limit) {
    auto& context = *reinterpret_cast<Context*>(handle);
    std::unique_lock lock(mutex_);
    ++waits_;
    ++resting_;
    changed_.notify_all();
    const auto there = [&context] { return !context.events.empty(); };
    if (limit == nullptr) {
        changed_.wait(lock, there);
    } else {
        changed_.wait_for(
            lock, std::chrono::seconds(limit->tv_sec) + std::chrono::nanoseconds(limit->tv_nsec),
            there);
    }
    --resting_;
    return take(context, most, events);
}

int FakeAio::wake(io_context_t handle) {
    if (const int error = onWake ? onWake() : 0; error != 0) return error;
    std::lock_guard lock(mutex_);
    ++wakes_;
    auto& context = *reinterpret_cast<Context*>(handle);
    if (context.inFlight >= context.entries) ++refusedWakes_;
    context.events.push_back({nullptr, nullptr, 0, 0});
    changed_.notify_all();
    return 0;
}

std::unique_ptr<AioSyscalls> share(std::shared_ptr<FakeAio> aio) {
    return std::make_unique<Shared>(std::move(aio));
}

}  // namespace mooncake::nvmeof_generic::io
