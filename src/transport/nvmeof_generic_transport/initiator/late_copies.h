// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// Whether first copies of writes may still come that the kernel has repeated over another path of
/// the subsystem.
///
/// A path that is lost or deleted is taken down in this order (drivers/nvme/host/tcp.c,
/// nvme_tcp_teardown_io_queues, Linux 6.1 to 6.12): its state changes to "resetting" or "deleting";
/// its sockets are shut down for sending, which closes none that has data left; its requests are
/// taken back and go over another path; its sockets are closed, with all that they had; the state
/// changes to "connecting", or the controller is gone. So a socket that is shut down and has data,
/// while its controller's state is one of the first two, may still send it.
///
/// What such a socket has sent before it was closed can lie on this host for some seconds more: the
/// neighbour table keeps packets for a host that does not answer to ARP, and sends them when it
/// does. So a loss ends some seconds after its last socket was closed.
///
/// An RDMA queue is drained before its requests are taken back, and has no such time. Thread-safe.
class LateCopies {
 public:
    using Clock = std::chrono::steady_clock;
    /// mcast_solicit (3) times retrans_time (1 s), of the kernel's defaults (arp(7)), and a moment.
    static constexpr std::chrono::milliseconds kOnTheWay{3200};

    /// @param subsystem  its opened folder in sysfs
    explicit LateCopies(std::shared_ptr<const UniqueFd> subsystem, std::string procRoot = "/proc")
        : subsystem_(std::move(subsystem)), procRoot_(std::move(procRoot)) {}

    /// A look at the state of each controller of the subsystem, and, where one is being taken
    /// down, at the TCP connections of this network namespace. An answer counts for some
    /// milliseconds.
    /// @return the number of the last loss of which copies may still come; 0: there is none
    uint64_t loss() noexcept { return loss(Clock::now()); }
    uint64_t loss(Clock::time_point now) noexcept;

 private:
    struct Look {
        std::vector<std::string> goingDown;  // controllers that are being taken down
        bool mayBeSent = false;              // by a socket of theirs
    };
    Look look() const;

    const std::shared_ptr<const UniqueFd> subsystem_;
    const std::string procRoot_;
    std::mutex mutex_;
    std::vector<std::string> goingDown_;  // at the last look; guarded by mutex_
    uint64_t losses_ = 0;                 // guarded by mutex_
    Clock::time_point lookedAt_{};        // guarded by mutex_
    Clock::time_point over_{};            // of the last loss; guarded by mutex_
};

}  // namespace mooncake::nvmeof_generic
