// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "run_folder.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// What is known of a target before it is connected to.
struct Reputation {
    /// A target of its host held the kernel up within the last hour, and this one was not connected
    /// to since.
    bool suspicious = false;
    /// Until it may be connected to again, where it has happened more than once.
    std::chrono::milliseconds rest{0};
    std::string why;  ///< for an error's text, when suspicious
};

/// Which targets held the kernel, and with it every connect of the machine, up. That is a matter of
/// the target's host: who publishes a new port is no new host. All processes that use the same
/// folder know it, for each network namespace by itself; without a folder it is this process's own.
/// What lies in the folder is a hint that may be missing, damaged or of another start of the
/// machine. Thread-safe.
class HoldUps {
 public:
    using Now = std::function<std::chrono::milliseconds()>;

    /// @param now  sinceBoot(), or a test's
    /// @param lockPatience  how long a change waits for those of other processes; after that it is
    /// made all the same, and one of the two may be lost
    explicit HoldUps(std::shared_ptr<const RunFolder> folder, Now now = sinceBoot,
                     std::chrono::milliseconds lockPatience = std::chrono::seconds(1));

    Reputation of(const TransportAddress& target);
    /// @param took  how long nobody else could connect
    void heldUp(const TransportAddress& target, std::chrono::milliseconds took);
    void connected(const TransportAddress& target);

 private:
    struct Entry {
        uint64_t network;
        std::string host;
        std::string port;
        bool good;  ///< connected to since
        uint32_t count;
        std::chrono::milliseconds took;  ///< the last time
        std::chrono::milliseconds at;    ///< of the last change, since the machine's start

        bool isOf(const Entry& other) const {
            return network == other.network && host == other.host && port == other.port;
        }
    };
    using Entries = std::vector<Entry>;

    Entry entryOf(const TransportAddress& target) const;
    Entries parse(const std::string& text) const;
    std::string print() const;
    void refresh();
    void change(const TransportAddress& target, const std::function<bool(Entry&)>& how);

    const std::shared_ptr<const RunFolder> folder_;
    const Now now_;
    const std::chrono::milliseconds lockPatience_;
    const std::string head_;
    std::mutex mutex_;
    Entries entries_;  // guarded by mutex_
};

}  // namespace mooncake::nvmeof_generic
