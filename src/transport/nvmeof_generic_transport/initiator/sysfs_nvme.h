// SPDX-License-Identifier: Apache-2.0
// The host's NVMe controllers and namespaces as sysfs shows them. Nothing is kept: each call looks
// anew, and survives that what it looks at vanishes meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io_policy.h"
#include "path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

enum class ControllerState {
    kLive,
    kRestoring,   ///< new, or the kernel is taking its connection down
    kConnecting,  ///< the kernel is connecting it again
    kGoing,       ///< being deleted, or given up by the kernel
};

struct ControllerInfo {
    std::string name;  ///< "nvme3"
    std::string subsystemNqn;
    std::string trtype;
    std::string traddr;   ///< empty when it is no fabrics controller
    std::string trsvcid;  ///< empty when it is no fabrics controller
    std::string hostNqn;  ///< empty on kernels that do not show it
    std::string hostId;   ///< empty on kernels that do not show it
    ControllerState state;
    std::string hostTraddr = {};     ///< from where; empty: as the route says
    std::string hostInterface = {};  ///< likewise
    /// Larger with each controller that the kernel makes: the inode of its folder in sysfs, of
    /// which none is given twice (see ControllerNotes).
    uint64_t born = 0;
};

/// One text for all spellings of a numeric address ("::1" for "0:0:0:0:0:0:0:1"); the text itself
/// if it is none.
std::string canonicalAddress(const std::string& traddr);

/// The path that a controller is.
Path pathOf(const ControllerInfo& controller);

/// Whether a controller connects to this address. Addresses are compared as numbers.
bool isAt(const ControllerInfo& controller, const TransportAddress& address);

/// Whether a controller is this path. One that does not say from where it connects may be joined by
/// who does not care.
bool isOn(const ControllerInfo& controller, const Path& path);

/// Thread-safe.
class SysfsNvme {
 public:
    /// @param root  "/sys", or another folder in unit tests
    explicit SysfsNvme(std::string root);

    /// All controllers; those that vanish during the look are left out.
    Result<std::vector<ControllerInfo>> controllers() const;

    /// Opens a controller's folder. The descriptor stays with this controller: when it is deleted,
    /// its files are not found any more, even if another controller gets the same name.
    Result<UniqueFd> openController(const std::string& name) const;

    /// @param dir  of openController()
    /// @return an error for which isGone() holds when the controller has gone
    static Result<ControllerInfo> describeController(int dir, const std::string& name);

    /// @param dir  of openController()
    /// @return as describeController()
    static Result<ControllerState> readState(int dir);

    /// The source address of a controller's TCP connections. To be asked of a live controller
    /// alone: Linux 6.12 asks whether the queue is up before it takes the lock under which that
    /// ends, and panics where it ends in between (drivers/nvme/host/tcp.c, nvme_tcp_get_address).
    /// @param dir  of openController()
    /// @return "" on kernels that do not show it
    static std::string readSourceAddress(int dir);

    /// Opens the folder of the subsystem of which a controller is one.
    /// @param name  the controller's
    /// @return ENOENT where it is in none
    Result<UniqueFd> openSubsystemOf(const std::string& name) const;

    /// Sets the policy of a controller's subsystem.
    /// @param name  the controller's
    /// @return the name of the policy that holds; ENOENT where the controller is in no subsystem,
    ///     EINVAL where the kernel does not have it, and keeps the one that it had
    Result<std::string> setIoPolicy(const std::string& name, IoPolicy policy) const;

    /// @param subsystemDir  of openSubsystemOf()
    /// @return the policy that holds; "" where that is not known
    static std::string readIoPolicy(int subsystemDir);

    /// What went over one controller's own block devices, since it was made.
    /// @param dir  of openController()
    struct Traffic {
        uint64_t read = 0;      ///< bytes
        uint64_t written = 0;   ///< bytes
        uint64_t ended = 0;     ///< I/Os
        uint64_t inFlight = 0;  ///< I/Os that have not ended
    };
    static Traffic readTraffic(int dir);

    /// The name of the block device through which namespace `nsid` can be used. With native
    /// multipath that is a device of the subsystem (the controller's own is hidden and must not be
    /// used), otherwise one of the controller.
    /// @param dir  of openController(), `name` the controller's name
    /// @return ENXIO when there is none (yet)
    Result<std::string> findNamespace(int dir, const std::string& name, uint32_t nsid) const;

 private:
    const std::string root_;
};

}  // namespace mooncake::nvmeof_generic
