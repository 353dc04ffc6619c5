// SPDX-License-Identifier: Apache-2.0
#include "loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

constexpr int kAttempts = 64;

Error loopError(int code, const std::string& what) {
    if (code == ENOENT || code == ENODEV || code == ENXIO) {
        return makeError(code, what,
                         "to export a part of a file takes loop devices: modprobe loop; in a "
                         "container, make the host's /dev visible");
    }
    if (code == EACCES || code == EPERM) return makeError(code, what, "this takes root");
    return makeError(code, what);
}

}  // namespace

Result<LoopDevice> LoopDevice::attach(int backingFd, uint64_t size, uint32_t blockSize,
                                      bool directIo, const std::string& devRoot) {
    const std::string controlPath = devRoot + "/loop-control";
    UniqueFd control(::open(controlPath.c_str(), O_RDWR | O_CLOEXEC));
    if (!control.valid()) return loopError(errno, "cannot open " + controlPath);

    loop_config config{};
    config.fd = static_cast<__u32>(backingFd);
    config.block_size = blockSize;
    config.info.lo_sizelimit = size;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (directIo ? LO_FLAGS_DIRECT_IO : 0);

    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) return loopError(errno, "cannot get a free loop device");
        const std::string path = devRoot + "/loop" + std::to_string(number);
        UniqueFd device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        if (!device.valid()) return loopError(errno, "cannot open " + path);
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
            return LoopDevice(std::move(device));
        }
        // Somebody else was faster with this one.
        if (errno != EBUSY) return loopError(errno, "cannot set up " + path);
    }
    return makeError(EBUSY, "cannot get a free loop device",
                     "others take each one before it is set up");
}

}  // namespace mooncake::nvmeof_generic
