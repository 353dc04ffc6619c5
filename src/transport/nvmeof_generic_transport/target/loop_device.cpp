// SPDX-License-Identifier: Apache-2.0
#include "loop_device.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr int kAttempts = 64;

Error loopError(int code, const std::string& what) {
    if (code == ENOENT || code == ENODEV || code == ENXIO) {
        return makeError(
            code, what,
            "to export a part of a file, or one read-only, takes loop devices: modprobe loop; in a "
            "container, make the host's /dev visible");
    }
    if (code == EACCES || code == EPERM) return makeError(code, what, "this takes root");
    return makeError(code, what);
}

// By this udev's rule (packaging/nvmeof_generic_loop_id.cpp) knows what is ours.
constexpr char kName[] = "mooncake-nvmeof-generic";

loop_config configFor(int backingFd, uint64_t size, uint32_t blockSize, bool directIo) {
    loop_config config{};
    config.fd = static_cast<__u32>(backingFd);
    config.block_size = blockSize;
    config.info.lo_sizelimit = size;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (directIo ? LO_FLAGS_DIRECT_IO : 0);
    std::memcpy(config.info.lo_file_name, kName, sizeof(kName));
    return config;
}

/// Opens free devices until `use` has taken one. @param use  0; EBUSY: another one; or an error
template <class Use>
Result<std::pair<ProcessFd, std::string>> takeFree(const std::string& devRoot, int flags, Use use) {
    const std::string controlPath = devRoot + "/loop-control";
    UniqueFd control(::open(controlPath.c_str(), O_RDWR | O_CLOEXEC));
    if (!control.valid()) return loopError(errno, "cannot open " + controlPath);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        // The free one may be somebody's already who has not set it up yet: then a new one.
        int number = attempt == 0 ? -1 : ::ioctl(control.get(), LOOP_CTL_ADD, -1);
        if (number < 0) number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) return loopError(errno, "cannot get a free loop device");
        const std::string path = devRoot + "/loop" + std::to_string(number);
        auto device =
            ProcessFd::open([&] { return ::open(path.c_str(), O_RDWR | O_CLOEXEC | flags); });
        const int code = device.valid() ? use(device.get()) : errno;
        if (code == 0) return std::pair(std::move(device), path);
        // Somebody else was faster with this one.
        if (code != EBUSY) {
            return loopError(code, (device.valid() ? "cannot set up " : "cannot open ") + path);
        }
    }
    return makeError(EBUSY, "cannot get a free loop device",
                     "others take each one before it is set up");
}

// nvmet has no switch for discards, which would punch holes into the file; a loop device has.
void refuseDiscards(int device) {
    struct stat status;
    if (::fstat(device, &status) != 0) return;
    const std::string path = "/sys/dev/block/" + std::to_string(major(status.st_rdev)) + ":" +
                             std::to_string(minor(status.st_rdev)) + "/queue/discard_max_bytes";
    const UniqueFd attribute(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (attribute.valid() && ::write(attribute.get(), "0", 1) == 1) return;
    LOG(WARNING)
        << "Remote discards can take disk space away from a file that is exported in part: "
        << "cannot set " << path << ": " << std::strerror(errno);
}

}  // namespace

Result<LoopDevice> LoopDevice::reserve(const std::string& devRoot) {
    // Who has it open exclusively is the only one who may set it up.
    auto taken = takeFree(devRoot, O_EXCL, [](int device) {
        loop_info64 info;
        if (::ioctl(device, LOOP_GET_STATUS64, &info) == 0) return EBUSY;
        return errno == ENXIO ? 0 : errno;
    });
    if (!taken.ok()) return taken.error();
    auto [device, path] = taken.take();
    return LoopDevice(std::move(device), std::move(path));
}

Result<> LoopDevice::attachReadOnly(int backingFd, uint64_t size, bool directIo) {
    loop_config config = configFor(backingFd, size, 512, directIo);
    config.info.lo_flags |= LO_FLAGS_READ_ONLY;
    if (::ioctl(fd(), LOOP_CONFIGURE, &config) != 0) {
        return loopError(errno, "cannot set up " + path_);
    }
    int readOnly = 0;
    if (::ioctl(fd(), BLKROGET, &readOnly) != 0 || readOnly == 0) {
        return makeError(EOPNOTSUPP, "cannot make " + path_ + " read-only");
    }
    return {};
}

Result<LoopDevice> LoopDevice::attach(int backingFd, uint64_t size, uint32_t blockSize,
                                      bool directIo, const std::string& devRoot) {
    loop_config config = configFor(backingFd, size, blockSize, directIo);
    auto taken = takeFree(devRoot, 0, [&config](int device) {
        return ::ioctl(device, LOOP_CONFIGURE, &config) == 0 ? 0 : errno;
    });
    if (!taken.ok()) return taken.error();
    auto [device, path] = taken.take();
    refuseDiscards(device.get());
    return LoopDevice(std::move(device), std::move(path));
}

}  // namespace mooncake::nvmeof_generic
