// SPDX-License-Identifier: Apache-2.0
#include "instant_io.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "operation.h"
#include "own_thread.h"

namespace aio_shim::instant {
namespace {

// The kernel's struct aio_ring (fs/aio.c). A context is its address.
struct Ring {
    unsigned id;
    unsigned entries;
    unsigned head;
    unsigned tail;
    unsigned magic;
    unsigned compatible;
    unsigned incompatible;
    unsigned headerLength;
    io_event events[1];  // `entries` of them
};
static_assert(offsetof(Ring, events) == 32);
constexpr unsigned kMagic = 0xa10a10a1;

// Lies before the ring, on a line of its own.
struct alignas(64) Control {
    std::atomic<bool> locked{false};    // who adds events
    std::atomic<unsigned> sleepers{0};  // in getEvents
};

Ring& ringOf(io_context_t context) {
    return *reinterpret_cast<Ring*>(context);
}
Control& controlOf(io_context_t context) {
    return reinterpret_cast<Control*>(context)[-1];
}

long futex(unsigned& word, int operation, unsigned value, const timespec* limit) {
    return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, limit, nullptr, 0);
}

/// @return false when the ring is full
bool post(io_context_t context, const iocb& control, iocb* object, unsigned long result) {
    Ring& ring = ringOf(context);
    Control& own = controlOf(context);
    while (own.locked.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    const unsigned tail = ring.tail;
    const unsigned next = tail + 1 == ring.entries ? 0 : tail + 1;
    const bool room = next != std::atomic_ref(ring.head).load(std::memory_order_acquire);
    if (room) {
        ring.events[tail] = {control.data, object, result, 0};
        std::atomic_ref(ring.tail).store(next, std::memory_order_release);
    }
    // Sequentially consistent, as is the sleeper's count: one of the two sees the other.
    own.locked.exchange(false, std::memory_order_seq_cst);
    if (own.sleepers.load(std::memory_order_seq_cst) > 0)
        futex(ring.tail, FUTEX_WAKE, INT32_MAX, nullptr);
    if (room && (control.u.c.flags & 1U) != 0) {  // IOCB_FLAG_RESFD
        eventfd_write(static_cast<int>(control.u.c.resfd), 1);
    }
    return room;
}

// Polls of descriptors that are not ready yet.
class Polls {
 public:
    void arm(io_context_t context, const iocb& control, iocb* object) {
        const std::lock_guard lock(mutex_);
        armed_.push_back({context, control, object});
        if (wake_ < 0) {
            wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
            startThread("aio-shim-poll", [this] { run(); });
        }
        eventfd_write(wake_, 1);
    }
    void disarm(io_context_t context) {
        const std::lock_guard lock(mutex_);
        std::erase_if(armed_, [context](const Armed& poll) { return poll.context == context; });
    }

 private:
    struct Armed {
        io_context_t context;
        iocb control;
        iocb* object;
    };
    [[noreturn]] void run() {
        std::vector<pollfd> descriptors;
        for (;;) {
            descriptors.assign(1, {wake_, POLLIN, 0});
            {
                const std::lock_guard lock(mutex_);
                for (const Armed& armed : armed_) {
                    descriptors.push_back({armed.control.aio_fildes,
                                           static_cast<short>(armed.control.u.poll.events), 0});
                }
            }
            ::poll(descriptors.data(), descriptors.size(), -1);
            eventfd_t value;
            eventfd_read(wake_, &value);
            const std::lock_guard lock(mutex_);
            std::erase_if(armed_, [](const Armed& armed) {
                pollfd one{armed.control.aio_fildes,
                           static_cast<short>(armed.control.u.poll.events), 0};
                return ::poll(&one, 1, 0) > 0 && post(armed.context, armed.control, armed.object,
                                                      static_cast<unsigned long>(one.revents));
            });
        }
    }

    std::mutex mutex_;
    std::vector<Armed> armed_;
    int wake_ = -1;
};

Polls& polls() {
    static auto* const made = new Polls;  // its thread outlives static objects
    return *made;
}

bool take(io_context_t context, iocb& control) {
    if (control.aio_lio_opcode != IO_CMD_POLL) {
        return post(context, control, &control, bytesOf(control));
    }
    pollfd one{control.aio_fildes, static_cast<short>(control.u.poll.events), 0};
    if (::poll(&one, 1, 0) > 0) {
        return post(context, control, &control, static_cast<unsigned long>(one.revents));
    }
    polls().arm(context, control, &control);
    return true;
}

}  // namespace

int setup(int entries, io_context_t* context) {
    if (entries <= 0) return -EINVAL;
    const size_t count = static_cast<size_t>(entries) + 1;
    const size_t bytes = sizeof(Control) + sizeof(Ring) + count * sizeof(io_event);
    void* const memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (memory == nullptr) return -ENOMEM;
    std::memset(memory, 0, bytes);
    auto* const ring = reinterpret_cast<Ring*>(new (memory) Control + 1);
    ring->entries = static_cast<unsigned>(count);
    ring->magic = kMagic;
    ring->compatible = 1;
    ring->headerLength = offsetof(Ring, events);
    *context = reinterpret_cast<io_context_t>(ring);
    return 0;
}

int destroy(io_context_t context) {
    polls().disarm(context);
    std::free(&controlOf(context));
    return 0;
}

int submit(io_context_t context, long count, iocb** controls) {
    int taken = 0;
    while (taken < count && take(context, *controls[taken])) ++taken;
    return taken > 0 || count == 0 ? taken : -EAGAIN;
}

int getEvents(io_context_t context, long least, long most, io_event* events,
              const timespec* limit) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = limit == nullptr ? Clock::time_point::max()
                                           : Clock::now() + std::chrono::seconds(limit->tv_sec) +
                                                 std::chrono::nanoseconds(limit->tv_nsec);
    Ring& ring = ringOf(context);
    Control& own = controlOf(context);
    int count = 0;
    for (;;) {
        unsigned head = ring.head;
        unsigned tail = std::atomic_ref(ring.tail).load(std::memory_order_acquire);
        while (head != tail && count < most) {
            events[count++] = ring.events[head];
            head = head + 1 == ring.entries ? 0 : head + 1;
        }
        std::atomic_ref(ring.head).store(head, std::memory_order_release);
        if (count >= least) return count;
        timespec left{};
        if (limit != nullptr) {
            const auto time = deadline - Clock::now();
            if (time <= Clock::duration::zero()) return count;
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
            left = {seconds.count(), (time - seconds).count()};
        }
        own.sleepers.fetch_add(1, std::memory_order_seq_cst);
        if (std::atomic_ref(ring.tail).load(std::memory_order_seq_cst) == tail) {
            const long result =
                futex(ring.tail, FUTEX_WAIT, tail, limit == nullptr ? nullptr : &left);
            if (result != 0 && errno == EINTR) {
                own.sleepers.fetch_sub(1);
                return count > 0 ? count : -EINTR;
            }
        }
        own.sleepers.fetch_sub(1);
    }
}

}  // namespace aio_shim::instant
