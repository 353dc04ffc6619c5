// SPDX-License-Identifier: Apache-2.0
#include "aio_syscalls.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// The completion ring that io_setup maps into the process: the context is its address. The layout
// is that of struct aio_ring in the kernel's fs/aio.c, the events follow the header; `magic` and
// `incompatible` say whether it still holds.
struct Ring {
    unsigned id;
    unsigned entries;
    unsigned head;
    unsigned tail;
    unsigned magic;
    unsigned compatible;
    unsigned incompatible;
    unsigned headerLength;

    io_event* events() {
        return reinterpret_cast<io_event*>(reinterpret_cast<char*>(this) + headerLength);
    }
};
constexpr unsigned kRingMagic = 0xa10a10a1;

class KernelAio final : public AioSyscalls {
 public:
    explicit KernelAio(UniqueFd readable) : readable_(std::move(readable)) {}

    int setup(unsigned entries, io_context_t* context) override {
        *context = nullptr;
        return io_setup(static_cast<int>(entries), context);
    }

    void destroy(io_context_t context) override { io_destroy(context); }

    int submit(io_context_t context, long count, iocb** controls) override {
        return io_submit(context, count, controls);
    }

    int reap(io_context_t context, long most, io_event* events) override {
        Ring* const ring = ringOf(context);
        if (ring == nullptr) {
            timespec none{0, 0};
            return io_getevents(context, 0, most, events, &none);
        }
        unsigned head = std::atomic_ref(ring->head).load(std::memory_order_relaxed);
        const unsigned tail = std::atomic_ref(ring->tail).load(std::memory_order_acquire);
        int count = 0;
        while (head != tail && count < most) {
            events[count++] = ring->events()[head];
            if (++head == ring->entries) head = 0;
        }
        // Release: the kernel may fill these places again once it sees the new head.
        if (count > 0) std::atomic_ref(ring->head).store(head, std::memory_order_release);
        return count;
    }

    bool hasEvents(io_context_t context) override {
        Ring* const ring = ringOf(context);
        return ring == nullptr || std::atomic_ref(ring->head).load(std::memory_order_relaxed) !=
                                      std::atomic_ref(ring->tail).load(std::memory_order_acquire);
    }

    int wait(io_context_t context, long most, io_event* events, timespec* limit) override {
        return io_getevents(context, 1, most, events, limit);
    }

    int wake(io_context_t context) override {
        // A poll for what is already so completes at once. Measured, this is cheaper than a poll
        // that stays armed on an eventfd (which must be written, read and armed again), and it
        // costs the I/O nothing, unlike IOCB_FLAG_RESFD, which signals for each completion.
        iocb control;
        io_prep_poll(&control, readable_.get(), POLLIN);
        control.data = nullptr;
        iocb* controls[] = {&control};
        const int result = io_submit(context, 1, controls);
        return result < 0 ? result : 0;
    }

 private:
    // Null where the layout is another one.
    static Ring* ringOf(io_context_t context) {
        auto* const ring = reinterpret_cast<Ring*>(context);
        return ring->magic == kRingMagic && ring->incompatible == 0 ? ring : nullptr;
    }

    UniqueFd readable_;  // an eventfd that always has something to read
};

}  // namespace

Result<std::unique_ptr<AioSyscalls>> makeKernelAio() {
    UniqueFd readable(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!readable.valid()) {
        return makeError(errno, "creating an eventfd for the I/O workers",
                         errno == EMFILE ? "raise the limit of open files (ulimit -n)" : "");
    }
    return std::unique_ptr<AioSyscalls>(std::make_unique<KernelAio>(std::move(readable)));
}

}  // namespace mooncake::nvmeof_generic::io
