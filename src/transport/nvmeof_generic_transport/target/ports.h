// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "nvmet_tree.h"
#include "port.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// The ports of one target, one for each of its addresses, which all serve the same subsystem. An
/// address that the host does not have, such as one whose network card comes up later, is tried
/// again and again while another one serves. Thread-safe.
class Ports {
 public:
    struct Times {
        std::chrono::milliseconds limit;     ///< as Port::acquire()
        std::chrono::milliseconds interval;  ///< between two attempts at an address that is missing
    };

    /// Joins or makes a port for each address.
    /// @param addresses  checked (checkAddresses())
    static Result<std::unique_ptr<Ports>> acquire(const NvmetTree& tree,
                                                  const TransportAddresses& addresses, Times times);
    /// Takes links and ports away.
    ~Ports();
    Ports(const Ports&) = delete;
    Ports& operator=(const Ports&) = delete;

    /// Serves the subsystem at every address. Of several, those that are not there are added when
    /// they come, as long as one is; that is logged. Does nothing where it is served already.
    /// @return as Port::link(), of the first address at which it cannot be served; may be repeated
    Result<> link(const std::string& subsystemNqn);

    /// Cuts every host off, one address after the other: at each the subsystem is served again
    /// before the next one is cut.
    /// @param toCut  of all(), those at which that is still to be done: what is done leaves it
    /// @return as Port::unlink() and link(), of the first address at which it cannot be done: there
    ///     hosts may not be cut off. May be repeated
    Result<> relink(const std::string& subsystemNqn, std::set<const Port*>& toCut);

    /// Stops serving and cuts every host off. Does nothing without a link.
    /// @return as Port::unlink(), of the first that fails
    Result<> unlink();

    /// In the order of the addresses; never changes. Only what Port says that others may call.
    const std::vector<std::unique_ptr<Port>>& all() const { return ports_; }

 private:
    Ports(const TransportAddresses& addresses, Times times)
        : addresses_(addresses), times_(times) {}
    void addLate();
    bool addMissing();

    const TransportAddresses addresses_;
    const Times times_;
    std::vector<std::unique_ptr<Port>> ports_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::string served_;    // the subsystem that is to be served; guarded by mutex_
    bool missing_ = false;  // at some address it is not; guarded by mutex_
    bool ended_ = false;    // guarded by mutex_
    std::thread late_;      // adds what is missing; none with one address
};

}  // namespace mooncake::nvmeof_generic
