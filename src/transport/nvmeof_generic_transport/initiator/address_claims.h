// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "run_folder.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// Which addresses a subsystem has, as all processes of the machine that use it see it. An
/// incarnation's addresses never change, and its NQN is random, so two records that give one NQN
/// different addresses contradict each other: the second would make a stranger's address a path to
/// the first one's disks. Who uses an NQN holds a shared lock (flock) on a file of the NQN's in the
/// RunFolder, in which the addresses are; without such a folder a process knows of itself alone.
/// Thread-safe.
class AddressClaims {
 public:
    /// While it exists nobody else of this transport uses the NQN at other addresses.
    class Claim {
     public:
        ~Claim();
        Claim(const Claim&) = delete;
        Claim& operator=(const Claim&) = delete;

     private:
        friend class AddressClaims;
        Claim(std::shared_ptr<const RunFolder> folder, std::string file, std::string addresses)
            : folder_(std::move(folder)),
              file_(std::move(file)),
              addresses_(std::move(addresses)) {}

        const std::shared_ptr<const RunFolder> folder_;
        const std::string file_;
        const std::string addresses_;
        ProcessFd lock_;  // none without a folder
    };

    /// Removes what processes left behind that were killed.
    explicit AddressClaims(std::shared_ptr<const RunFolder> folder);

    /// @param subsystemNqn  checked
    /// @return EADDRINUSE when a process uses it at other addresses: the message names them; what
    ///     the file gives where it cannot be used
    Result<std::shared_ptr<const Claim>> take(const std::string& subsystemNqn,
                                              const TransportAddresses& addresses);

 private:
    const std::shared_ptr<const RunFolder> folder_;
    std::mutex mutex_;
    std::map<std::string, std::weak_ptr<const Claim>> claims_;  // by NQN; guarded by mutex_
};

}  // namespace mooncake::nvmeof_generic
