// SPDX-License-Identifier: Apache-2.0
// The initiator part: connections to remote subsystems, and the block devices of their namespaces.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::nvmeof_generic {

/// The paths of a connection, for whoever wants to know how they do. May outlive the connection,
/// and keeps nothing of it. Thread-safe.
class PathBoard {
 public:
    virtual ~PathBoard() = default;
    /// Reads some files in sysfs for each path and file.
    virtual std::vector<PathStats> read() const = 0;
};

/// A use of the connection to one subsystem: of its controller, or, with several paths, of a
/// controller for each. They are shared by all uses on this host:
/// with the last one in this process each is disconnected, if a process of this transport made it
/// and no other one uses it still. A controller connected by nvme-cli or the like is used and left
/// alone.
class Connection {
 public:
    /// May block for seconds (disconnecting from a target that does not answer): not on an I/O
    /// worker or a caller's thread. Close the descriptors of openNamespace() before.
    virtual ~Connection() = default;
    virtual const std::string& subsystemNqn() const = 0;
    /// Whether the kernel's connection (some path) is up at the moment: not when it is being
    /// restored or was given up. Reads one file in sysfs.
    virtual bool isLive() const = 0;
    /// Whether the kernel has taken a lost connection down and is trying to restore it. From when
    /// that begins it counts its fast_io_fail_tmo. Reads one file in sysfs.
    virtual bool isReconnecting() const = 0;
    /// Whether a process of this transport made it; of several paths, some.
    virtual bool isOurs() const = 0;
    /// Has the kernel find out now whether the target still answers, on the admin queue and on each
    /// I/O queue, instead of when keep-alive or its time limit for I/O does: it takes a connection
    /// down of which a queue gives no answer, and restores it. No disk is asked. Only if isOurs().
    /// May block for seconds.
    /// The answer on the admin queue is a large one, which a path can lose that lets small ones
    /// pass.
    /// @param device  of a namespace of this connection; null: the admin queue alone is asked
    /// @return false: an answer is missing, or what was sent does not arrive
    virtual bool provokeAnswer(const std::shared_ptr<const UniqueFd>& device) = 0;
    /// Has the kernel begin to delete the controller, so that it ends the I/O in its hands instead
    /// of trying to restore the connection, or, where that is up, of waiting for the target. The
    /// initiator's end waits for the rest of it, and until then connecting to this subsystem fails
    /// with ETIMEDOUT. Only if isOurs(). May block for seconds.
    virtual void giveUp() = 0;
    /// Of several paths that are used together: see IoDeviceSpec::lossWithCopies. May outlive
    /// the connection. Null otherwise.
    virtual std::function<uint64_t()> lossWithCopies() const { return nullptr; }
    /// Null where it goes over no network.
    virtual std::shared_ptr<const PathBoard> paths() const { return nullptr; }
};

/// The open block device of one namespace, whose identity was checked on this very descriptor.
struct RemoteNamespace {
    UniqueFd fd;
    std::string deviceName;  ///< "nvme0n1", for log lines: the kernel recycles names
    uint64_t size;           ///< bytes
    uint32_t blockSize;      ///< logical block size in bytes
    bool readOnly = false;   ///< the descriptor cannot be written to
    bool local = false;      ///< a file of this machine, and no block device of a connection
};

/// Makes and breaks connections; replaceable so that unit tests run without a kernel.
class Fabrics;

/// Every call may block for seconds (the kernel makes one connection at a time) and belongs to a
/// thread of its own. Thread-safe.
class Initiator {
 public:
    /// Logs the host NQN that it will use.
    /// @param fabrics  nullptr: libnvme and this machine's kernel
    /// @return EINVAL for a bad option or a malformed file with the host's identity; ENOENT when
    /// nvme-fabrics is not there, EACCES when it may not be opened; the message says what to load
    /// or change
    static Result<std::unique_ptr<Initiator>> create(const InitiatorOptions& options,
                                                     std::shared_ptr<Fabrics> fabrics = nullptr);
    virtual ~Initiator() = default;

    /// Connects to a subsystem or joins the existing connection, also one that the kernel is
    /// restoring at the moment. A connection whose controller was deleted is never handed out: a
    /// new one is made. Callers that ask for the same subsystem at the same time share one attempt
    /// and its result. Checks addresses and NQN first. Of several addresses, and ends on this host
    /// (InitiatorOptions::hostInterfaces), each pair is a path: where the kernel can use them
    /// together it is connected to all, whatever becomes of any; the call returns with the first,
    /// and the others are taken up, now and later, without further calls. Such a connection must
    /// end before this object. Where it cannot, one is connected.
    /// @return EINVAL, ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT (no answer, or an existing controller
    /// was not restored in time), EPROTO (not an NVMe/TCP target), EIO (NQN unknown there, or this
    /// host is not allowed), EADDRINUSE (this machine knows the NQN at other addresses), ECANCELED
    /// (interrupt()) ...
    virtual Result<std::shared_ptr<Connection>> connect(const TransportAddresses& addresses,
                                                        const std::string& subsystemNqn) = 0;
    Result<std::shared_ptr<Connection>> connect(const TransportAddress& address,
                                                const std::string& subsystemNqn) {
        return connect(TransportAddresses{address}, subsystemNqn);
    }

    /// Opens namespace `nsid` of a connected subsystem, waiting until `deadline` for it and its
    /// device node to appear, and checks the identity of the opened descriptor in sysfs: subsystem
    /// NQN, nsid, uuid (namespaceUuid()) and that the size is `size`.
    /// @param connection  of this initiator
    /// @param size  bytes, as published by the target
    /// @param openFlags  O_DIRECT or 0, added to O_RDWR | O_CLOEXEC
    /// @return ENXIO when it did not appear, or the controller was deleted (connect() again);
    /// ESTALE when the device is not the one expected (names what was found); EACCES; ECANCELED
    virtual Result<RemoteNamespace> openNamespace(
        const Connection& connection, uint32_t nsid, uint64_t size, int openFlags,
        std::chrono::steady_clock::time_point deadline) = 0;

    /// Whether an open namespace is still what it was when it was opened, of the kernel's own
    /// knowledge: no I/O, no waiting.
    /// @param device  from openNamespace(), which was given the other arguments
    /// @return ENXIO when it was removed, ESTALE when it is another or has another size
    virtual Result<> checkNamespace(const Connection& connection, uint32_t nsid, uint64_t size,
                                    const UniqueFd& device) {
        static_cast<void>(connection), static_cast<void>(nsid), static_cast<void>(size);
        static_cast<void>(device);
        return {};
    }

    /// Ends every wait under way, and each one from now on, with ECANCELED. What the kernel itself
    /// waits for goes on to its end. Does not block.
    virtual void interrupt() {}
};

}  // namespace mooncake::nvmeof_generic
