// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace mooncake::nvmeof_generic {

class ControllerConnection;

/// A connection that this initiator made: one controller, or several as paths of the same disks.
class KernelConnection : public Connection {
 public:
    /// Whether it may be handed out: a controller is there and not being deleted; it may be
    /// reconnecting.
    virtual bool isUsable() const = 0;
    /// Its usable controllers, one that is up before others.
    virtual std::vector<std::shared_ptr<const ControllerConnection>> controllers() const = 0;
};

}  // namespace mooncake::nvmeof_generic
