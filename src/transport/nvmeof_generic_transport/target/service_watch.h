// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "bounded_thread.h"
#include "file_exports.h"
#include "host_access.h"
#include "nvmet_tree.h"
#include "ports.h"

namespace mooncake::nvmeof_generic {

/// Notices when somebody else changes in nvmet what a target has made, as a manager of nvmet does
/// that clears its tree, or restores a configuration: the subsystem or its link from a port is
/// gone, a namespace is gone or disabled, who may connect is no longer what the target was given.
/// It says so, once each, and withdraws the files that are exported no more. A link alone may come
/// back, and all is well then: it withdraws nothing. It looks again and again, on a thread of its
/// own: a look is some small reads for each file.
class ServiceWatch {
 public:
    /// @param hosts  who may connect; null: any host
    /// @param ports  linked to the subsystem; outlive this object, as do the hosts and the files
    /// @param interval  between two looks
    /// @param limit  how long the end waits for a look that the kernel holds up
    /// @return as startThread()
    static Result<std::unique_ptr<ServiceWatch>> start(const NvmetTree& tree,
                                                       const std::string& subsystemNqn,
                                                       const HostAccess* hosts, const Ports& ports,
                                                       FileExports& files,
                                                       std::chrono::milliseconds interval,
                                                       std::chrono::milliseconds limit);
    ~ServiceWatch();
    ServiceWatch(const ServiceWatch&) = delete;
    ServiceWatch& operator=(const ServiceWatch&) = delete;

 private:
    struct State;

    ServiceWatch(std::shared_ptr<State> state, std::chrono::milliseconds limit,
                 std::unique_ptr<BoundedThread> thread);

    const std::shared_ptr<State> state_;
    const std::chrono::milliseconds limit_;
    const std::unique_ptr<BoundedThread> thread_;
};

}  // namespace mooncake::nvmeof_generic
