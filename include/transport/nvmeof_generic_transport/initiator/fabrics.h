// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"

namespace mooncake::nvmeof_generic {

/// Making and breaking one controller: what libnvme does for us. Implementations check nothing:
/// callers pass validated strings only. Blocking; thread-safe.
class Fabrics {
 public:
    virtual ~Fabrics() = default;
    /// @return the kernel's name of the new controller ("nvme3"); EALREADY when this host is
    /// connected already
    virtual Result<std::string> connect(const TransportAddress& address,
                                        const std::string& subsystemNqn, const std::string& hostNqn,
                                        const std::string& hostId,
                                        const InitiatorOptions& options) = 0;
    virtual Result<> disconnect(const std::string& controllerName) = 0;
};

/// The one over libnvme, which is not thread-safe: all instances share one mutex.
std::shared_ptr<Fabrics> makeLibnvmeFabrics();

}  // namespace mooncake::nvmeof_generic
