// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controller_connection.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

struct OpenedDevice {
    UniqueFd fd;
    dev_t number;
};

/// Opens a device node; replaced in unit tests, which have no block devices.
/// @param flags  of open(2)
/// @return open(2)'s errno; ENOTBLK
using DeviceOpen = std::function<Result<OpenedDevice>(const std::string& path, int flags)>;

Result<OpenedDevice> openBlockDevice(const std::string& path, int flags);

/// Keeps the kernel from merging neighbouring I/Os over one controller into one command: when a
/// part of that is bad, all of it fails, and requests with it that have nothing to do with the bad
/// range. The setting goes with each device.
/// @param controllerDir  the controller's opened folder in sysfs
void keepRequestsApart(int controllerDir);

/// What is asked of Initiator::openNamespace().
struct NamespaceRequest {
    uint32_t nsid;
    uint64_t size;  ///< bytes
    int openFlags;
};

/// Finds, opens and identifies the block devices of namespaces. Thread-safe.
class NamespaceOpener {
 public:
    NamespaceOpener(std::string sysRoot, std::string devRoot, DeviceOpen open);

    /// See Initiator::openNamespace().
    Result<RemoteNamespace> open(const KernelConnection& connection,
                                 const NamespaceRequest& request, Clock::time_point deadline,
                                 std::stop_token stop) const;

 private:
    using Controllers = std::vector<std::shared_ptr<const ControllerConnection>>;
    // `mayPass`: whether the error can be another one, or none, a moment later.
    Result<RemoteNamespace> tryOpen(const Controllers& controllers, const NamespaceRequest& request,
                                    bool& mayPass) const;

    const std::string sysRoot_;
    const std::string devRoot_;
    const DeviceOpen open_;
    const SysfsNvme sysfs_;
};

}  // namespace mooncake::nvmeof_generic
