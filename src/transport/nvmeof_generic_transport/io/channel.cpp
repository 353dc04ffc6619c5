// SPDX-License-Identifier: Apache-2.0
#include "channel.h"

#include "transport/nvmeof_generic_transport/common/signals.h"

namespace mooncake::nvmeof_generic::io {

int Channel::tryOpen(AioSyscalls& aio, uint32_t entries) noexcept {
    const int code = openContext(aio, entries, context_);
    refused_ = code != 0;
    open_.store(code == 0, std::memory_order_release);
    return code;
}

bool Channel::open(AioSyscalls& aio, uint32_t entries) noexcept {
    if (isOpen()) return true;
    return !refused_ && tryOpen(aio, entries) == 0;
}

void Channel::close(AioSyscalls& aio) {
    if (open_.exchange(false)) aio.destroy(context_.context);
}

bool Channel::brokenPipeMatters(uint64_t tick) {
    if (pipeTick_ != tick) {
        pipeTick_ = tick;
        pipeMatters_ = NoBrokenPipe::isNeeded();
    }
    return pipeMatters_;
}

void Channel::noteEndedElsewhere(AioSyscalls& aio) {
    // One of the two sees the other: the owner the end, or this thread that the owner sleeps.
    endedElsewhere_.fetch_add(1, std::memory_order_seq_cst);
    if (sleeps_.load(std::memory_order_seq_cst) &&
        sleeps_.exchange(false, std::memory_order_relaxed)) {
        // The context keeps a place for this. Where the kernel has no memory for it, the owner
        // sleeps until its limit.
        aio.wake(context_.context);
    }
}

int Channel::sleep(AioSyscalls& aio, long most, io_event* events, timespec* limit) {
    sleeps_.store(true, std::memory_order_seq_cst);
    const bool ended = endedHere_ + endedElsewhere_.load(std::memory_order_seq_cst) != seen_;
    const int count = ended ? 0 : aio.wait(context_.context, most, events, limit);
    sleeps_.store(false, std::memory_order_relaxed);
    return count;
}

}  // namespace mooncake::nvmeof_generic::io
