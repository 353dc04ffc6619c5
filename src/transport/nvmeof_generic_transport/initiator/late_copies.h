// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
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
    /// What loss() returns where nothing is sure.
    static constexpr uint64_t kNotKnownYet = UINT64_MAX;

    /// @param subsystem  its opened folder in sysfs
    explicit LateCopies(std::shared_ptr<const UniqueFd> subsystem, std::string procRoot = "/proc",
                        std::function<Clock::time_point()> now = Clock::now)
        : subsystem_(std::move(subsystem)), procRoot_(std::move(procRoot)), now_(std::move(now)) {}

    /// A look at the state of each controller of the subsystem, and, where one is being taken
    /// down, at the TCP connections of this network namespace. An answer counts for some
    /// milliseconds. Waits for no other thread.
    /// @return the number of the last loss of which copies may still come; 0: there is none;
    /// kNotKnownYet: another thread looks just now, or it cannot be seen
    uint64_t loss() noexcept;

 private:
    struct Look {
        std::vector<std::string> goingDown;  // controllers that are being taken down
        bool mayBeSent = false;              // by a socket of theirs
    };
    /// @return nothing where it cannot be seen, for want of descriptors, say
    std::optional<Look> look() const;

    const std::shared_ptr<const UniqueFd> subsystem_;
    const std::string procRoot_;
    const std::function<Clock::time_point()> now_;
    std::mutex looking_;                  // held by the thread that looks
    std::vector<std::string> goingDown_;  // at the last look; guarded by looking_
    // Written by the thread that looks, the time of the look last.
    std::atomic<uint64_t> losses_{0};
    std::atomic<Clock::time_point> over_{};  // of the last loss
    std::atomic<Clock::time_point> lookedAt_{};
};

}  // namespace mooncake::nvmeof_generic
