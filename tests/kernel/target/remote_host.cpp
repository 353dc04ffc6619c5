// SPDX-License-Identifier: Apache-2.0
#include "remote_host.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "kernel_fixture.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

RemoteHost::RemoteHost(const TransportAddress& address, const std::string& subsystemNqn,
                       const std::string& hostNqn)
    : subsystemNqn_(subsystemNqn) {
    // The kernel's driver raises it in whoever submits on a connection that was just cut.
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd fabrics(::open("/dev/nvme-fabrics", O_RDWR | O_CLOEXEC));
    const std::string options = "transport=" + address.trtype + ",traddr=" + address.traddr +
                                ",trsvcid=" + address.trsvcid + ",nqn=" + subsystemNqn +
                                ",hostnqn=" + hostNqn + ",hostid=" + namespaceUuid(hostNqn, 1) +
                                ",keep_alive_tmo=5,reconnect_delay=1,ctrl_loss_tmo=5";
    if (::write(fabrics.get(), options.data(), options.size()) < 0) return;
    char answer[128] = {};
    int instance = -1;
    if (::read(fabrics.get(), answer, sizeof(answer) - 1) > 0 &&
        std::sscanf(answer, "instance=%d", &instance) == 1) {
        controller_ = "nvme" + std::to_string(instance);
    }
}

RemoteHost::~RemoteHost() {
    if (!connected()) return;
    // One whose target has gone may have given up, and be gone, too.
    const std::string path = "/sys/class/nvme/" + controller_ + "/delete_controller";
    const UniqueFd remove(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (remove.valid() && ::write(remove.get(), "1", 1) < 0) {
        EXPECT_EQ(errno, ENODEV) << path;
    }
}

std::string RemoteHost::device(uint32_t nsid) const {
    const std::string uuid = namespaceUuid(subsystemNqn_, nsid);
    std::string found;
    waitFor([&] {
        for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
            const std::string name = entry.path().filename();
            // nvme0n1, not the hidden nvme0c0n1 of a path to it
            if (!name.starts_with("nvme") || name.find('c') != std::string::npos) continue;
            if (readAttribute(entry.path() / "uuid") != uuid) continue;
            if (std::filesystem::exists("/dev/" + name)) found = "/dev/" + name;
        }
        return !found.empty();
    });
    return found;
}

UniqueFd RemoteHost::open(uint32_t nsid) const {
    UniqueFd fd(::open(device(nsid).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    EXPECT_TRUE(fd.valid()) << "namespace " << nsid;
    return fd;
}

uint64_t deviceSize(int fd) {
    uint64_t size = 0;
    EXPECT_EQ(ioctl(fd, BLKGETSIZE64, &size), 0);
    return size;
}

uint32_t deviceBlockSize(int fd) {
    int size = 0;
    EXPECT_EQ(ioctl(fd, BLKSSZGET, &size), 0);
    return static_cast<uint32_t>(size);
}

}  // namespace mooncake::nvmeof_generic
