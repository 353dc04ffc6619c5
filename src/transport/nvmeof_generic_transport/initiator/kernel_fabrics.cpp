// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <glog/logging.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io_queues.h"
#include "libnvme_fabrics.h"
#include "sysfs_file.h"
#include "tcp_probe.h"
#include "transport/nvmeof_generic_transport/common/signals.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic {
namespace {

// The device node of a controller, unless another one has the name by now.
UniqueFd openNode(int controllerDir, const std::string& name) {
    UniqueFd node(open(("/dev/" + name).c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!node.valid() || fstat(node.get(), &status) != 0) return {};
    const auto number = readAttribute(controllerDir, "dev");
    const std::string its =
        std::to_string(major(status.st_rdev)) + ":" + std::to_string(minor(status.st_rdev));
    return number.ok() && number.value() == its ? std::move(node) : UniqueFd();
}

class KernelFabrics final : public Fabrics {
 public:
    Result<bool> probe(const TransportAddress& address, Clock::time_point deadline,
                       const std::stop_token& stop) override {
        if (address.trtype != "tcp") return false;
        if (auto probed = probeTcpTarget(address, deadline, stop); !probed.ok()) {
            return probed.error();
        }
        return true;
    }

    Result<std::string> connect(const TransportAddress& address, const std::string& subsystemNqn,
                                const HostIdentity& host,
                                const InitiatorOptions& options) override {
        const NoBrokenPipe guard;
        return connectWithLibnvme(address, subsystemNqn, host, options);
    }

    // Sends a small admin command (Get Features, number of queues) that is given half a second: if
    // it goes unanswered, the kernel (which looks at its time limits once a second) takes the
    // connection for lost at once and not when keep-alive notices. It also spares the kernel the
    // wait for its own keep-alive command, to which Linux 6.1 gives twice its time when that is the
    // first one to go unanswered.
    void provokeAnswer(int controllerDir, const std::string& name) override {
        constexpr uint8_t kGetFeatures = 0x0a;
        constexpr uint32_t kNumberOfQueues = 0x07;
        constexpr uint32_t kTimeoutMs = 500;
        const UniqueFd node = openNode(controllerDir, name);
        if (!node.valid()) return;  // not live any more
        const NoBrokenPipe guard;
        nvme_passthru_cmd command{};
        command.opcode = kGetFeatures;
        command.cdw10 = kNumberOfQueues;
        command.timeout_ms = kTimeoutMs;
        // Whatever the answer is, it is one.
        static_cast<void>(ioctl(node.get(), NVME_IOCTL_ADMIN_CMD, &command));
    }

    // One after the other: where one does not answer the kernel takes the connection down, and the
    // others end at once.
    void provokeIoAnswers(int controllerDir, int device) override {
        const NoBrokenPipe guard;
        const auto queues = ioQueueProcessors(controllerDir);
        if (!queues.ok()) return;
        for (const cpu_set_t& processors : queues.value()) {
            if (sched_setaffinity(0, sizeof(processors), &processors) == 0) {
                provokeQueueAnswer(device);
            }
        }
    }

    void reset(int controllerDir, const std::string& name) override {
        const NoBrokenPipe guard;
        const auto written = writeAttribute(controllerDir, "reset_controller", "1");
        if (!written.ok() && !isGone(written.error().code)) {
            LOG(WARNING) << "cannot reset controller " << name << ": " << written.error().message;
        }
    }

    // Not through libnvme, which knows a controller by its name: between a look and the write the
    // name may have become another controller's. A file below the opened folder cannot.
    Result<> disconnect(int controllerDir, const std::string& name) override {
        const NoBrokenPipe guard;
        // Deleting a controller that the kernel takes for live waits 60 s for a target that does
        // not answer; if it takes it for lost, about 1 s (both measured on Linux 6.1 and 6.12).
        if (const auto state = readAttribute(controllerDir, "state");
            state.ok() && state.value() == "live") {
            provokeAnswer(controllerDir, name);
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
