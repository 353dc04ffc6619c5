// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "connect_error.h"
#include "libnvme_fabrics.h"
#include "sysfs_file.h"
#include "tcp_probe.h"
#include "transport/nvmeof_generic_transport/common/signals.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic {
namespace {

// Sends a small admin command (Get Features, number of queues) that is given one second. If it goes
// unanswered, the kernel takes the connection for lost at once and not when keep-alive notices.
void provokeAnswer(const std::string& controllerName) {
    constexpr uint8_t kGetFeatures = 0x0a;
    constexpr uint32_t kNumberOfQueues = 0x07;
    constexpr uint32_t kTimeoutMs = 1000;
    const UniqueFd device(open(("/dev/" + controllerName).c_str(), O_RDONLY | O_CLOEXEC));
    if (!device.valid()) return;  // not live any more
    nvme_passthru_cmd command{};
    command.opcode = kGetFeatures;
    command.cdw10 = kNumberOfQueues;
    command.timeout_ms = kTimeoutMs;
    // Whatever the answer is, it is one.
    static_cast<void>(ioctl(device.get(), NVME_IOCTL_ADMIN_CMD, &command));
}

class KernelFabrics final : public Fabrics {
 public:
    Result<std::string> connect(const TransportAddress& address, const std::string& subsystemNqn,
                                const HostIdentity& host, const InitiatorOptions& options,
                                std::stop_token stop) override {
        if (address.trtype == "tcp") {
            const auto probed =
                probeTcpTarget(address, Clock::now() + options.connectTimeout, stop);
            if (!probed.ok()) {
                return connectError(probed.error().code, address, subsystemNqn, host.nqn);
            }
        }
        const NoBrokenPipe guard;
        return connectWithLibnvme(address, subsystemNqn, host, options);
    }

    // Not through libnvme, which knows a controller by its name: between a look and the write the
    // name may have become another controller's. A file below the opened folder cannot.
    Result<> disconnect(int controllerDir, const std::string& name) override {
        const NoBrokenPipe guard;
        // Deleting a controller that the kernel takes for live waits 60 s for a target that does
        // not answer; if it takes it for lost, about 1 s (both measured on Linux 6.1 and 6.12).
        if (const auto state = readAttribute(controllerDir, "state");
            state.ok() && state.value() == "live") {
            provokeAnswer(name);
        }
        const auto written = writeAttribute(controllerDir, "delete_controller", "1");
        if (written.ok() || isGone(written.error().code)) return {};
        return makeError(written.error().code, "cannot disconnect controller " + name,
                         "disconnecting needs root");
    }
};

}  // namespace

std::shared_ptr<Fabrics> makeKernelFabrics() {
    return std::make_shared<KernelFabrics>();
}

}  // namespace mooncake::nvmeof_generic
