// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/open_path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/initiator/io_policy.h"
#include "transport/nvmeof_generic_transport/initiator/path.h"

namespace mooncake::nvmeof_generic {

/// Times are given to the kernel with each connection. What they mean for the time without an
/// answer after a target has gone is in docs/failure-model.md.
struct InitiatorOptions {
    std::chrono::seconds connectTimeout{10};  ///< to wait for a connection and its devices
    /// Twice as long, an idle connection can be dead without being taken for that. Where requests
    /// wait for an answer, the target is asked at once. Less than 5 s makes Linux 6.1 slower: its
    /// own unanswered sign of life then holds up its taking the connection down.
    std::chrono::seconds keepAlive{5};
    std::chrono::seconds reconnectDelay{1};
    std::chrono::seconds fastIoFail{
        2};  ///< from the loss of the connection until its I/O fails; at least 1
    /// For the kernel to have an I/O of a connection that is up.
    std::chrono::seconds ioTimeout{30};
    std::chrono::seconds controllerLoss{
        60};  ///< until the kernel gives the connection up; not below fastIoFail
    /// I/O queues of a connection; 0: one per processor, as the kernel. Each makes it take longer
    /// until I/O fails after a link has died silently: Linux 6.1 waits 0.4 to 0.6 s for a queue's
    /// socket to drain, twice for each queue, one after the other.
    uint32_t ioQueues = 4;
    uint32_t queueDepth = 0;  ///< commands per queue, 16 to 1024; 0: the kernel's 128
    /// From where to connect; empty: from where the route says.
    HostSides hostInterfaces;
    /// Of a segment with several paths: whether all are used at the same time, as long as the
    /// kernel can (nvme_core.multipath), or one, and another when that fails. The kernel then
    /// repeats writes by itself, which can undo a later one (docs/failure-model.md).
    bool allPaths = false;
    IoPolicy ioPolicy = IoPolicy::kAuto;
    std::string hostNqn;  ///< empty: /etc/nvme/hostnqn, or one made of the machine id
    /// Absolute path of this host's key file (readKeyFile()), with which it proves who it is where
    /// a target asks (DH-HMAC-CHAP); read at each connect, never kept. Empty: it has none.
    std::string keyFile;
    PathCheck pathCheck = PathCheck::kOn;  ///< of the way to keyFile
    std::string sysRoot = "/sys";          ///< another folder in unit tests
    std::string devRoot = "/dev";
    std::string etcRoot = "/etc";
    /// Where the processes of the machine tell each other who held the kernel up.
    std::string runRoot = "/run";
};

/// Checks every value: times of 1 s to 1 day (libnvme drops zeros, and then the kernel's defaults
/// let I/O hang for ten minutes), their order, queue numbers, the form of hostNqn.
/// @return EINVAL that names the option and its value
Result<> checkInitiatorOptions(const InitiatorOptions& options);

}  // namespace mooncake::nvmeof_generic
