// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <glog/logging.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "connect_error.h"
#include "controller_node.h"
#include "io_queues.h"
#include "key_pairs.h"
#include "libnvme_fabrics.h"
#include "sysfs_file.h"
#include "tcp_probe.h"
#include "transport/nvmeof_generic_transport/common/signals.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic {
namespace {

// How long a target has for all that the kernel would have to wait for. The kernel would need as
// long, with everybody else waiting.
constexpr std::chrono::milliseconds kProbeLimit{2000};

// Set for good by the first controller that shows it.
std::atomic<bool> keysAreIgnored{false};

Error keysIgnored(const std::string& keyFile) {
    return makeError(EOPNOTSUPP, "cannot use the key file " + keyFile,
                     "this kernel's initiator takes keys and ignores them: authentication "
                     "(DH-HMAC-CHAP) takes one built with CONFIG_NVME_HOST_AUTH or "
                     "CONFIG_NVME_AUTH, as Debian's 6.12 is");
}

class KernelFabrics final : public Fabrics {
 public:
    explicit KernelFabrics(std::string devRoot) : devRoot_(std::move(devRoot)) {}

    Result<Probed> probe(const Path& path, const std::string& subsystemNqn,
                         const HostIdentity& host, const InitiatorOptions& options,
                         Clock::time_point deadline, const std::stop_token& stop) override {
        Probed probed;
        if (path.target.trtype != "tcp") return probed;
        const auto key = readHostKey(options);
        if (!key.ok()) return key.error();
        const auto done = withEither(keyPairs(key.value()), [&](const KeyPair& keys) {
            probed = {true, keys.old};
            return probeTcpTarget({path, subsystemNqn, host, options.keepAlive, keys}, deadline,
                                  kProbeLimit, stop);
        });
        if (done.ok()) return probed;
        const Error& error = done.error();
        return connectError(error.code, path, subsystemNqn, host.nqn, error.message);
    }

    Result<std::string> connect(const Path& path, const std::string& subsystemNqn,
                                const HostIdentity& host, const InitiatorOptions& options,
                                const Probed& probed) override {
        const NoBrokenPipe guard;
        if (options.keyFile.empty()) {
            return connectWithLibnvme(path, subsystemNqn, host, options, probed);
        }
        if (keysAreIgnored) return keysIgnored(options.keyFile);
        auto made = connectWithLibnvme(path, subsystemNqn, host, options, probed);
        if (!made.ok()) return made;
        // Linux 6.1 takes keys also where it was built without their use. It does not get past a
        // target that asks for them; with one that does not, nobody would notice.
        const std::string folder = options.sysRoot + "/class/nvme/" + made.value();
        const auto dir = openFolder(AT_FDCWD, folder);
        if (!dir.ok()) return dir.error();
        if (faccessat(dir.value().get(), "dhchap_secret", F_OK, 0) == 0) return made;
        keysAreIgnored = true;
        if (auto gone = disconnect(dir.value().get(), made.value(), Haste::kAtOnce); !gone.ok()) {
            LOG(ERROR) << gone.error().message;
        }
        return keysIgnored(options.keyFile);
    }

    // Sends an admin command that is given half a second (Get Log Page, the firmware's: nvmet gives
    // as many zeros as are asked for, and needs no disk for it): if it goes unanswered, the kernel
    // (which looks at its time limits once a second) takes the connection for lost at once and not
    // when keep-alive notices. It also spares the kernel the wait for its own keep-alive command,
    // to which Linux 6.1 gives twice its time when that is the first one to go unanswered.
    bool provokeAnswer(int controllerDir, const std::string& name) override {
        constexpr uint8_t kGetLogPage = 0x02;
        constexpr uint32_t kFirmwareSlots = 0x03;
        constexpr uint32_t kTimeoutMs = 500;
        // Of no interest, and larger than any packet.
        alignas(4096) static std::array<char, 64 << 10> answer;
        const UniqueFd node = openControllerNode(devRoot_, controllerDir, name);
        if (!node.valid()) return false;  // not live any more
        const NoBrokenPipe guard;
        nvme_passthru_cmd command{};
        command.opcode = kGetLogPage;
        command.nsid = UINT32_MAX;
        command.addr = reinterpret_cast<uintptr_t>(answer.data());
        command.data_len = answer.size();
        command.cdw10 = kFirmwareSlots | static_cast<uint32_t>(answer.size() / 4 - 1) << 16;
        command.timeout_ms = kTimeoutMs;
        // Whatever the target's answer is, a status from 0 on, it is one. The kernel's own, for a
        // command that it has taken back, are those of the path (3xxh).
        const int status = ioctl(node.get(), NVME_IOCTL_ADMIN_CMD, &command);
        constexpr int kPathRelated = 0x300;
        return status >= 0 && (status & 0x700) != kPathRelated;
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
    Result<> disconnect(int controllerDir, const std::string& name, Haste haste) override {
        const NoBrokenPipe guard;
        if (haste == Haste::kTakeDown) return takeDown(controllerDir, name);
        // Deleting a controller that the kernel takes for live waits 60 s for a target that does
        // not answer; if it takes it for lost, about 1 s (both measured on Linux 6.1 and 6.12).
        if (haste == Haste::kNone && isLive(controllerDir)) {
            static_cast<void>(provokeAnswer(controllerDir, name));
        }
        return remove(controllerDir, name);
    }

 private:
    // To delete a controller that is up means to wait for its I/O, and after a reset Linux 6.1
    // waits for ever. What the kernel does when a command has no answer in time is as good here as
    // it is with a dead link: it fails or keeps the I/O until it connects again, a second later at
    // the earliest, and a controller that is deleted before fails all of it.
    Result<> takeDown(int controllerDir, const std::string& name) {
        // A target answers one where something has happened, and keeps the next.
        constexpr int kMostEvents = 4;
        for (int i = 0; i < kMostEvents && isLive(controllerDir); ++i) {
            askWithoutAnswer(controllerDir, name);
        }
        return remove(controllerDir, name);
    }

    // For an event (Asynchronous Event Request), which a target keeps until there is one.
    void askWithoutAnswer(int controllerDir, const std::string& name) const {
        constexpr uint8_t kAsyncEventRequest = 0x0c;
        constexpr uint32_t kTimeoutMs = 100;
        const UniqueFd node = openControllerNode(devRoot_, controllerDir, name);
        if (!node.valid()) return;  // not live any more
        nvme_passthru_cmd command{};
        command.opcode = kAsyncEventRequest;
        command.timeout_ms = kTimeoutMs;
        static_cast<void>(ioctl(node.get(), NVME_IOCTL_ADMIN_CMD, &command));
    }

    static bool isLive(int controllerDir) {
        const auto state = readAttribute(controllerDir, "state");
        return state.ok() && state.value() == "live";
    }

    static Result<> remove(int controllerDir, const std::string& name) {
        const auto written = writeAttribute(controllerDir, "delete_controller", "1");
        if (written.ok() || isGone(written.error().code)) return {};
        const int code = written.error().code;
        return makeError(code, "cannot disconnect controller " + name,
                         code == EROFS ? "/sys is read-only here, as in some containers: make it "
                                         "writable (docker: --privileged, or -v /sys:/sys)"
                                       : "disconnecting needs root");
    }

    const std::string devRoot_;
};

}  // namespace

std::shared_ptr<Fabrics> makeKernelFabrics(const std::string& devRoot) {
    return std::make_shared<KernelFabrics>(devRoot);
}

}  // namespace mooncake::nvmeof_generic
