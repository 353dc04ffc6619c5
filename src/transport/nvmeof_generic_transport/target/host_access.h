// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "host.h"
#include "nvmet_tree.h"
#include "ports.h"

namespace mooncake::nvmeof_generic {

/// Who may connect to one subsystem: a list that can change while the subsystem is served.
/// Thread-safe.
class HostAccess {
 public:
    /// @param keyFolder  holds a key file (readKeyFile()) for each host, called by its NQN; empty:
    ///     hosts prove nothing
    HostAccess(const NvmetTree& tree, std::string subsystemNqn, std::string keyFolder,
               PathCheck pathCheck);

    /// Lets exactly `wanted` connect. New hosts disturb nobody. The kernel has no means to end the
    /// connection of one host: where one is taken off, the subsystem's links to `ports` are taken
    /// away and made again, one port after the other, which ends the connections of all; those
    /// still on the list reconnect by themselves.
    /// @param ports  where the subsystem is served; not cut, so long as nobody was taken off
    /// @return the first failure. Hosts are taken off, and cut off, also where others cannot be
    ///     added. May be repeated: what is left to do is done then.
    Result<> set(const std::set<std::string>& wanted, Ports& ports);

    /// Those that are let in and stay so, just now: of a host that is about to be taken off it says
    /// nothing any more. Waits for no system call.
    struct Allowed {
        std::set<std::string> hosts;
        uint64_t version = 0;  // raised by each change
    };
    Allowed allowed() const;
    std::set<std::string> hosts() const { return allowed().hosts; }

 private:
    void note(const std::string& hostNqn, bool isAllowed);
    Result<std::unique_ptr<AllowedHost>> allow(const std::string& hostNqn) const;
    Result<> takeOff(const std::set<std::string>& wanted, Ports& ports);

    const NvmetTree tree_;
    const std::string subsystemNqn_, keyFolder_;
    const PathCheck pathCheck_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<AllowedHost>> hosts_;  // guarded by mutex_
    /// Where hosts may still be connected that were taken off; guarded by mutex_.
    std::set<const Port*> toCut_;
    mutable std::mutex allowedMutex_;
    Allowed allowed_;  // guarded by allowedMutex_
};

}  // namespace mooncake::nvmeof_generic
