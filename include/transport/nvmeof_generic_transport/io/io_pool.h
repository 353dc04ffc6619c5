// SPDX-License-Identifier: Apache-2.0
// The io part: a pool of libaio workers that runs direct or buffered I/O on opened block devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/io/io_options.h"

namespace mooncake::nvmeof_generic {

enum class IoOp : uint8_t { kRead, kWrite };

/// One transfer between memory and a device. The memory belongs to the pool from submit() until the
/// request has ended.
struct IoRequest {
    IoOp op;
    void* buffer;     ///< any alignment
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
    /// (mode "on");
    ///     ENODATA: the device gave fewer bytes than asked (it ended or its namespace was removed);
    ///     ECANCELED: the device was closed before the request reached the kernel; EIO, ENOSPC ...:
    ///     as the kernel said
    /// @param bytes  bytes moved for certain: `length` when error is 0, less otherwise
    /// Called from an I/O worker, or from submit() itself for a request that is refused. Must not
    /// block or throw; the listener is kept alive by the device until the last call.
    virtual void onIoDone(void* context, int error, uint64_t bytes) noexcept = 0;
};

/// What to run I/O on.
struct IoDeviceSpec {
    UniqueFd
        fd;  ///< opened read-write with the flags of openFlags(); owned by the pool from now on
    std::string name;    ///< for log lines
    uint64_t size;       ///< bytes a request may touch, counted from 0
    uint32_t blockSize;  ///< logical block size in bytes, a power of two from 512 to 65536
    std::shared_ptr<IoListener> listener;
};

class IoDevice;  // one opened device: its queue, its limit and its I/O in flight

class IoPool {
 public:
    /// Sets up the pool; no thread runs before there is work.
    /// @return EAGAIN when fs.aio-max-nr is exhausted (the message names the sysctl and its value),
    /// EINVAL for an option out of range
    static Result<std::unique_ptr<IoPool>> create(const IoOptions& options);

    /// Refuses new requests, ends those not yet in the kernel with ECANCELED, waits for the others
    /// and joins the workers.
    virtual ~IoPool() = default;

    /// The flags (beyond O_RDWR | O_CLOEXEC) with which a device must be opened for this pool's
    /// mode: O_DIRECT or 0.
    virtual int openFlags() const = 0;

    /// Takes a device in. Thread-safe. @return EINVAL for a bad size or block size
    virtual Result<std::shared_ptr<IoDevice>> addDevice(IoDeviceSpec spec) = 0;

    /// Queues `count` requests on `device`; never fails and never waits for I/O: each request ends
    /// through the device's listener exactly once. Any number may be outstanding. Thread-safe.
    virtual void submit(const std::shared_ptr<IoDevice>& device, const IoRequest* requests,
                        size_t count) = 0;

    /// Refuses further requests on `device` and ends the queued ones with ECANCELED. Those in the
    /// kernel end when the kernel gives them back; then the descriptor is closed. Does not wait.
    /// Thread-safe, may be called twice.
    virtual void closeDevice(const std::shared_ptr<IoDevice>& device) = 0;
};

}  // namespace mooncake::nvmeof_generic
