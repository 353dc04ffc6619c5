// SPDX-License-Identifier: Apache-2.0
// The io part: moves bytes between memory and opened block devices with libaio, on the threads that
// ask for it and on workers.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/io/io_options.h"

namespace mooncake::nvmeof_generic {

enum class IoOp : uint8_t { kRead, kWrite };

namespace io {
class WriteGuard;
}

/// Protects the blocks that unaligned writes share with others, within this process: all openings
/// of one namespace must be given the same one. Thread-safe.
std::shared_ptr<io::WriteGuard> makeWriteGuard();

/// One transfer between memory and a device. The memory belongs to the pool from submit() until the
/// request has ended.
struct IoRequest {
    IoOp op;
    void* buffer;     ///< any alignment, unless the mode is "on"
    uint64_t offset;  ///< bytes from the start of the device
    uint64_t length;  ///< bytes, at least 1
    void* context;    ///< the caller's, given back when the request ends
};

/// Told once for each request, when it has ended and the pool no longer touches its memory.
class IoListener {
 public:
    virtual ~IoListener() = default;
    /// @param context  the request's
    /// @param error  0, or a positive errno value. EINVAL: the request was malformed or misaligned
    ///     (mode "on"); ENODATA: the device gave fewer bytes than asked (it ended, or its namespace
    ///     was removed), or the medium is bad there; ECANCELED: the device was closed before the
    ///     whole request had reached the kernel; ETIMEDOUT also: see IoDeviceSpec::lossWithCopies,
    ///     it lasted for too long; ENOMEM: no memory to queue it; EIO, ENOSPC ...: as
    ///     the kernel said. After a failed write the contents of its range are unknown.
    /// @param bytes  bytes moved for certain: `length` when error is 0, less otherwise
    /// Called from a thread of the pool, from poll() or wait(), or from submit() itself for a
    /// request that is refused, with no lock of the pool held: it may call submit() and
    /// closeDevice(). It must not block or throw. The device keeps its listener alive until the
    /// last call.
    virtual void onIoDone(void* context, int error, uint64_t bytes) noexcept = 0;

    /// Told instead of onIoDone() of a request whose device was closed before any part of it was
    /// handed to the kernel: as if it had never been submitted, so it may be submitted elsewhere.
    /// Rules as onIoDone().
    /// @param request  as it was submitted
    virtual void onIoReturned(const IoRequest& request) noexcept {
        onIoDone(request.context, ECANCELED, 0);
    }
};

/// What to run I/O on.
struct IoDeviceSpec {
    UniqueFd fd;  ///< opened with openFlags(), read-write, or read-only where nothing is written;
                  ///< owned by the pool from now on
    std::string name;    ///< for log lines and errors
    uint64_t size;       ///< bytes a request may touch, counted from 0; a multiple of blockSize
    uint32_t blockSize;  ///< logical block size in bytes, a power of two from 512 to 65536
    std::shared_ptr<IoListener> listener;
    /// makeWriteGuard(); null: one of its own, for a namespace that is opened once
    std::shared_ptr<io::WriteGuard> guard{};
    /// The kernel gets writes from the pool's own memory alone, in every mode: for a device that
    /// cannot be given any other without danger.
    bool copyWrites = false;
    /// Of a device to which the kernel has several paths, between which it repeats writes by
    /// itself: whether a path has been lost of which older copies of such writes may still come,
    /// from the memory of the write. Asked when a write that took long is over; the end of one that
    /// began before the loss was seen is told when there is none any more. Thread-safe, throws
    /// nothing; waits for nobody, but may read sysfs. Null: there never is
    /// @return the number of the last such loss, another one for each; 0: there is none;
    /// kLossNotKnownYet: another thread finds out, or it cannot be seen; ask again
    std::function<uint64_t()> lossWithCopies{};
    static constexpr uint64_t kLossNotKnownYet = UINT64_MAX;
};

/// A device that a pool has taken in. Only its pool knows what is inside.
class IoDevice {
 public:
    /// From one moment; two of them tell whether it gets on.
    struct Activity {
        size_t outstanding = 0;  ///< 0 when all requests have ended, else about how much is to do
        uint64_t ended = 0;      ///< differs from what it was when sample() was asked before if
                                 ///< something has ended meanwhile
    };
    struct Sample {
        Activity activity;
        /// For how long the kernel has had the oldest I/O, at least: it counts from one call of
        /// sample() to the next, and of a long pause between two only half a second. 0 where no I/O
        /// has seen a call.
        std::chrono::milliseconds oldest{0};
    };
    // All are thread-safe, and wait for nothing but a lock that is held for a moment.
    virtual ~IoDevice() = default;
    /// When submit() has returned, a request counts as outstanding or has ended.
    virtual Activity activity() const = 0;
    /// The same, for one who calls it regularly: by its calls the age of I/O is counted.
    virtual Sample sample(std::chrono::steady_clock::time_point now) = 0;
    /// The device's descriptor, open for as long as the result is held. @return null when the
    /// device is closed
    virtual std::shared_ptr<const UniqueFd> descriptor() const = 0;
};

/// A request and what it is for.
struct IoItem {
    IoDevice* device;
    IoRequest request;
};

/// Who hands requests to the kernel.
enum class Submitter : uint8_t {
    kCaller,   ///< the thread that submits, as far as that does not block
    kWorkers,  ///< others: for threads that nothing may hold up, such as a page of the requests'
               ///< memory that has to be brought in
};

/// How well io_submit(2) is used: how often it was called, and how many I/Os the kernel has taken.
struct SubmitCounts {
    uint64_t calls = 0;
    uint64_t ios = 0;
};

class IoPool {
 public:
    /// Sets up the pool. Its threads start with the first device and sleep when nothing is to do.
    /// @return EAGAIN when fs.aio-max-nr is exhausted (the message names the sysctl and its value),
    ///     EINVAL for an option out of range, ENOMEM without the memory for bounce buffers
    static Result<std::unique_ptr<IoPool>> create(const IoOptions& options);

    /// Refuses new requests, gives those not yet in the kernel back, waits for the others
    /// however long they take (their memory is in the kernel's hands), and joins the threads. Not
    /// from a listener, and not while another thread still uses the pool.
    virtual ~IoPool() = default;

    /// The flags (beyond O_RDWR or O_RDONLY, and O_CLOEXEC) with which a device must be opened:
    /// O_DIRECT in every mode, see DirectIo.
    virtual int openFlags() const = 0;

    /// Takes a device in. Thread-safe. Openings of one block device must share a WriteGuard.
    /// @return EINVAL for a bad size, block size, descriptor or listener; EAGAIN when the first
    ///     thread cannot be started
    virtual Result<std::shared_ptr<IoDevice>> addDevice(IoDeviceSpec spec) = 0;

    /// Submits requests, for one device or several, in any order: neighbours are joined, and one
    /// system call takes as much as fits. Never fails and never waits for I/O: each request ends
    /// through its device's listener exactly once. Any number may be outstanding. Requests that are
    /// outstanding at the same time are not ordered among each other, so the outcome of a write
    /// that overlaps another outstanding request is one of the possible orders. Thread-safe; a
    /// thread that is held up here, by a page of its memory, holds up no other.
    /// @param items  their devices are this pool's, and stay alive during the call; closed ones
    ///     give the requests back
    virtual void submit(const IoItem* items, size_t count,
                        Submitter who = Submitter::kCaller) noexcept = 0;

    /// The same for requests of one device.
    void submit(const std::shared_ptr<IoDevice>& device, const IoRequest* requests, size_t count,
                Submitter who = Submitter::kCaller) noexcept;

    /// Says that the program calls poll() or wait() as long as it has requests outstanding: its
    /// threads then submit and reap themselves what workers need not do. To be called before the
    /// first request. What a thread does not come back for ends all the same, some milliseconds
    /// late; what that thread submits from then on the workers do at once, until it comes back.
    virtual void enablePolling() = 0;

    /// Ends requests whose I/O is over, on the calling thread: the listener is called from here.
    /// Never waits. Thread-safe.
    /// @return whether there was such I/O
    virtual bool poll() = 0;

    /// Waits until a request that the calling thread has submitted has ended since its last wait();
    /// a thread without such requests waits for those of others, as far as it can be told. May
    /// return early without any. Uses no processor meanwhile. Thread-safe.
    /// @param limit  how long at most; 0: not at all, and without a system call
    /// @return whether there may have been some since this thread's last wait()
    virtual bool wait(std::chrono::nanoseconds limit) = 0;

    /// Since the pool was made. Thread-safe, waits for nothing; I/O under way may be counted in
    /// part.
    virtual SubmitCounts submitCounts() const = 0;

    /// Refuses further requests on `device` and gives the queued ones back: onIoReturned(), or
    /// ECANCELED for one of which the kernel had a part. Those in the kernel end when the kernel
    /// gives them back; then the descriptor is closed and the listener let go. Does not wait.
    /// Thread-safe, may be called twice.
    virtual void closeDevice(const std::shared_ptr<IoDevice>& device) = 0;
};

}  // namespace mooncake::nvmeof_generic
