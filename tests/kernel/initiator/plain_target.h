// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace initiator_test {

using mooncake::nvmeof_generic::TransportAddress;

/// A subsystem and a port of this kernel's nvmet, made by hand. Removed with the object.
/// Everything that fails throws std::runtime_error, which fails the test.
class PlainTarget {
 public:
    /// Begins to listen; any host may connect.
    /// @param nqn  empty: a new one
    explicit PlainTarget(TransportAddress address, const std::string& nqn = "");
    ~PlainTarget();
    PlainTarget(const PlainTarget&) = delete;
    PlainTarget& operator=(const PlainTarget&) = delete;

    const std::string& nqn() const { return nqn_; }
    const TransportAddress& address() const { return address_; }

    /// @param uuid  empty: the one that a target of this transport gives
    void addNamespace(uint32_t nsid, const std::string& path, const std::string& uuid = "");
    void removeNamespace(uint32_t nsid);
    /// Has the subsystem listen at another address, too.
    void listenAt(const TransportAddress& address);
    /// Ends that, and with it the connections there.
    void leave(const TransportAddress& address);
    /// From now on, this host alone may connect.
    void allowOnly(const std::string& hostNqn);

 private:
    const TransportAddress address_;
    const std::string nqn_;
    const std::string subsystem_;
    std::vector<std::string> ports_;
    std::string host_;
    std::vector<uint32_t> nsids_;
};

}  // namespace initiator_test
