// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bounded_thread.h"
#include "nvmet_tree.h"
#include "shared_dir.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// One target's use of an nvmet port, and the link that serves its subsystem there. A port has but
/// a number for a name, so one of ours carries a mark: a referral that is never enabled and hence
/// in no discovery log. Its name tells the network namespace, too: configfs is one for all of them,
/// and the kernel listens in that of the thread that links the port's first subsystem.
class Port {
 public:
    /// Joins the port of this transport at `address` in the calling thread's network namespace, or
    /// makes one.
    /// @param limit  how long link() and unlink() wait for the kernel
    static Result<std::unique_ptr<Port>> acquire(const NvmetTree& tree,
                                                 const TransportAddress& address,
                                                 std::chrono::milliseconds limit);

    /// A port that this transport made.
    struct Own {
        std::string id;
        std::string mark;                 // the referral's name
        std::optional<uint64_t> network;  // none: made by an earlier version of this transport
    };
    /// Those of others do not appear.
    static Result<std::vector<Own>> listOwn(const NvmetTree& tree);
    static SharedDir::Place place(const NvmetTree& tree, const Own& port);
    /// Fields that cannot be read are empty.
    static TransportAddress addressOf(const NvmetTree& tree, const std::string& id);
    /// What an errno of link() means for an address, and which port is in the way.
    /// @param ownId  of the port at it, which is in nobody's way; may be empty
    static Error listenError(const NvmetTree& tree, const TransportAddress& address, int code,
                             const std::string& ownId);
    static std::string linkPath(const NvmetTree& tree, const std::string& id,
                                const std::string& subsystemNqn);

    /// Takes the link away, then the port with its last user.
    ~Port();
    Port(const Port&) = delete;
    Port& operator=(const Port&) = delete;

    /// Serves the subsystem here. The kernel opens the listener with a port's first link. Does
    /// nothing with a link.
    /// @return EADDRNOTAVAIL, EADDRINUSE, EINVAL (the kernel lacks the transport), EBUSY (the
    ///     kernel has not done it yet, and may still do it; another call waits for it again), EXDEV
    ///     (the calling thread is in another network namespace than the one that acquired it) ...
    Result<> link(const std::string& subsystemNqn);
    /// For whoever looks after the link on another thread: whether it is there, as far as this
    /// object knows, its path, and a number that each change of it raises first.
    bool isLinked() const { return linked_; }
    std::string linkPathOf(const std::string& nqn) const { return linkPath(tree_, id_, nqn); }
    uint64_t linkVersion() const { return version_; }

    /// Stops serving and cuts every host off. Does nothing without a link.
    /// @return EBUSY as above ...
    Result<> unlink();

 private:
    Port(const NvmetTree& tree, const TransportAddress& address, std::chrono::milliseconds limit,
         uint64_t network, std::string id, std::unique_ptr<SharedDir> dir,
         std::unique_ptr<BoundedThread> thread);
    Result<> finishChange();
    Result<int> change(const std::string& link, std::function<int()> work);

    /// One that the kernel is at: two at a time could come in the wrong order.
    struct Change {
        std::string link;  // what link_ is when it has succeeded
        std::shared_ptr<int> code;
    };

    const NvmetTree tree_;
    const TransportAddress address_;
    const std::chrono::milliseconds limit_;
    const uint64_t network_;
    const std::string id_;
    const std::unique_ptr<SharedDir> dir_;
    std::string link_;                  // its path, or empty
    std::atomic<bool> linked_ = false;  // while it is there and nobody is changing it
    std::atomic<uint64_t> version_ = 0;
    std::unique_ptr<Change> change_;
    const std::unique_ptr<BoundedThread> thread_;  // that changes it: cutting hosts off never fails
};

}  // namespace mooncake::nvmeof_generic
