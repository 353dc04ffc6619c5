// SPDX-License-Identifier: Apache-2.0
// Block devices: what is exported of them, and which are refused.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "backing_file.h"
#include "file_pattern.h"
#include "kernel_fixture.h"
#include "loop_device.h"
#include "remote_host.h"
#include "swapping_tree.h"
#include "target_process.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::AlignedBuffer;
using test_support::comparePattern;
using test_support::fillPattern;
using test_support::readDirect;
using testing::HasSubstr;
using testing::IsEmpty;

class DeviceTest : public KernelTargetTest {
 protected:
    DeviceTest() { disk_ = disks().at(0); }

    uint64_t sizeOf(const std::string& device) {
        return deviceSize(UniqueFd(::open(device.c_str(), O_RDONLY | O_CLOEXEC)).get());
    }
    void expectBusy(const std::string& device) {
        auto target = start();
        const TreeSnapshot before = snapshot();
        const Error error = errorOf(target->addFile(1, device, kMiB));
        EXPECT_EQ(error.code, EBUSY) << error.message;
        EXPECT_THAT(error.message, HasSubstr(device));
        EXPECT_EQ(snapshot(), before);
    }

    // "dm-0": there need be no udev to make friendlier names.
    static std::string mapperName(const std::string& volume) {
        for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
            if (readAttribute(entry.path() / "dm/name") == volume) return entry.path().filename();
        }
        ADD_FAILURE() << "no device of " << volume;
        return "";
    }

    // Whether a thread of this process waits in a function of the kernel's.
    static bool waitsIn(const std::string& function) {
        for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
            std::ifstream file(thread.path() / "stack");
            const std::string stack{std::istreambuf_iterator<char>(file), {}};
            if (stack.find(function) != std::string::npos) return true;
        }
        return false;
    }

    std::string disk_;
};

TEST_F(DeviceTest, IsExportedAndClaimed) {
    const uint64_t size = sizeOf(disk_);
    auto target = start();
    const auto exported = target->addFile(1, disk_, size);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().size, size);
    EXPECT_EQ(exported.value().blockSize, 512u);
    EXPECT_THAT(loops(), IsEmpty());
    {
        RemoteHost host(kLoopback, target->subsystemNqn());
        UniqueFd device = host.open(1);
        EXPECT_EQ(deviceSize(device.get()), size);
        EXPECT_EQ(deviceBlockSize(device.get()), 512u);
        AlignedBuffer buffer(8192);
        fillPattern(3, kMiB, buffer.data(), buffer.size());
        ASSERT_EQ(pwrite(device.get(), buffer.data(), buffer.size(), kMiB), 8192);
        const std::vector<uint8_t> local = readDirect(disk_, kMiB, 8192);
        EXPECT_EQ(comparePattern(3, kMiB, local.data(), local.size()), "");
    }
    // Nobody mounts it meanwhile, and no other target exports it.
    EXPECT_FALSE(UniqueFd(::open(disk_.c_str(), O_RDWR | O_EXCL | O_CLOEXEC)).valid());
    auto other = start();
    EXPECT_EQ(errorOf(other->addFile(1, disk_, size)).code, EBUSY);
    ASSERT_TRUE(target->removeFile(1).ok());
    EXPECT_TRUE(other->addFile(1, disk_, size).ok());
}

// Case 12: the same device by another name, and by another node.
TEST_F(DeviceTest, IsExportedOnce) {
    options_.exportBusyDevices = true;  // or its own claim would be in the way first
    auto target = start();
    const std::string link = dir_.path() + "/link", node = dir_.path() + "/node";
    ASSERT_EQ(symlink(disk_.c_str(), link.c_str()), 0);
    struct stat status;
    ASSERT_EQ(stat(disk_.c_str(), &status), 0);
    ASSERT_EQ(mknod(node.c_str(), S_IFBLK | 0600, status.st_rdev), 0);
    ASSERT_TRUE(target->addFile(1, disk_, kMiB).ok());
    EXPECT_EQ(errorOf(target->addFile(2, link, kMiB)).code, EEXIST);
    EXPECT_EQ(errorOf(target->addFile(3, node, kMiB)).code, EEXIST);
}

// Case 8, for a device.
TEST_F(DeviceTest, IsCutToSize) {
    auto target = start();
    const auto exported = target->addFile(1, disk_, kMiB + 513);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().size, kMiB + 512);
    RemoteHost host(kLoopback, target->subsystemNqn());
    EXPECT_EQ(deviceSize(host.open(1).get()), kMiB + 512);
    EXPECT_FALSE(UniqueFd(::open(disk_.c_str(), O_RDWR | O_EXCL | O_CLOEXEC)).valid());
}

// Case 7, for a device.
TEST_F(DeviceTest, HasASize) {
    auto target = start();
    EXPECT_EQ(errorOf(target->addFile(1, disk_, sizeOf(disk_) + 1)).code, EINVAL);
    EXPECT_EQ(errorOf(target->addFile(1, disk_, 0)).code, EINVAL);
    EXPECT_EQ(errorOf(target->addFile(1, disk_, 511)).code, EINVAL);
}

TEST_F(DeviceTest, IsRefusedWhileItIsReadOnly) {
    UniqueFd disk(::open(disk_.c_str(), O_RDONLY | O_CLOEXEC));
    int readOnly = 1;
    ASSERT_EQ(ioctl(disk.get(), BLKROSET, &readOnly), 0);
    auto target = start();
    const Error error = errorOf(target->addFile(1, disk_, kMiB));
    EXPECT_TRUE(error.code == EROFS || error.code == EACCES) << error.message;
    readOnly = 0;
    ASSERT_EQ(ioctl(disk.get(), BLKROSET, &readOnly), 0);
}

// Case 6, for a device: one that became smaller before it was exported.
TEST_F(DeviceTest, IsRefusedWhenItsSizeChanges) {
    const std::string path = dir_.file("image", 2 * kMiB);
    {
        UniqueFd image(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        const auto loop = LoopDevice::attach(image.get(), 0, 512, false, "/dev");
        ASSERT_TRUE(loop.ok()) << loop.error().message;
        auto started = Target::start(kLoopback, options_, std::make_shared<SwappingTree>([&] {
                                         std::filesystem::resize_file(path, kMiB);
                                         EXPECT_EQ(ioctl(loop.value().fd(), LOOP_SET_CAPACITY), 0);
                                     }));
        ASSERT_TRUE(started.ok());
        auto target = started.take();
        const TreeSnapshot before = snapshot();
        const Error error = errorOf(target->addFile(1, openFileName(loop.value().fd()), 2 * kMiB));
        EXPECT_EQ(error.code, ESTALE) << error.message;
        EXPECT_EQ(snapshot(), before);
    }
}

// Case 11: mounted.
TEST_F(DeviceTest, IsRefusedWhileItIsMounted) {
    const std::string mount = dir_.path() + "/mount";
    makeFolder(mount);
    ASSERT_EQ(run("mkfs.ext4 -q -F " + disk_), 0);
    ASSERT_EQ(::mount(disk_.c_str(), mount.c_str(), "ext4", 0, nullptr), 0);
    expectBusy(disk_);
    options_.exportBusyDevices = true;  // who knows better may
    {
        auto target = start();
        const auto exported = target->addFile(1, disk_, sizeOf(disk_));
        EXPECT_TRUE(exported.ok()) << exported.error().message;
    }
    EXPECT_EQ(umount(mount.c_str()), 0);
}

// Case 11: swap, on a device and in a file.
TEST_F(DeviceTest, IsRefusedWhileItIsSwap) {
    ASSERT_EQ(run("mkswap " + disk_ + " > /dev/null"), 0);
    ASSERT_EQ(swapon(disk_.c_str(), 0), 0);
    expectBusy(disk_);
    EXPECT_EQ(swapoff(disk_.c_str()), 0);

    const std::string file = dir_.file("swap", 4 * kMiB);
    ASSERT_EQ(run("mkswap " + file + " > /dev/null"), 0);
    sync();
    ASSERT_EQ(swapon(file.c_str(), 0), 0);
    {
        auto target = start();
        const Error error = errorOf(target->addFile(1, file, 4 * kMiB));
        EXPECT_EQ(error.code, ETXTBSY) << error.message;
    }
    EXPECT_EQ(swapoff(file.c_str()), 0);
}

// Case 11: held by the device mapper, as a volume group holds its disks.
TEST_F(DeviceTest, IsRefusedWhileItIsInAVolume) {
    const std::string sectors = std::to_string(sizeOf(disk_) / 512);
    ASSERT_EQ(run("dmsetup create --noudevsync nvmeof-held --table '0 " + sectors + " linear " +
                  disk_ + " 0'"),
              0);
    expectBusy(disk_);
    EXPECT_EQ(run("dmsetup remove --noudevsync nvmeof-held"), 0);
}

/// A disk that answers reads, but holds every write back for ten minutes, or until release().
class HungVolume {
 public:
    explicit HungVolume(const std::string& disk, uint64_t size) {
        const std::string table =
            "0 " + std::to_string(size / 512) + " delay " + disk + " 0 0 " + disk + " 0 600000";
        EXPECT_EQ(run("dmsetup create --noudevsync nvmeof-hung --table '" + table + "'"), 0);
    }
    ~HungVolume() {
        release();
        EXPECT_EQ(run("dmsetup remove --noudevsync nvmeof-hung"), 0);
    }
    /// To suspend a volume is to let through what it holds.
    void release() {
        EXPECT_EQ(run("dmsetup suspend --noudevsync nvmeof-hung"), 0);
        EXPECT_EQ(run("dmsetup resume --noudevsync nvmeof-hung"), 0);
    }
    bool holdsWrites() {  // the status ends in the numbers of held reads, writes and flushes
        return run("dmsetup status nvmeof-hung | grep -q ' delay [0-9]* [1-9]'") == 0;
    }
};

/// Also when a check fails, or all that waits for the volume would wait on.
struct Release {
    HungVolume& volume;
    ~Release() { volume.release(); }
};

/// Something that must not wait for the volume. If it does, the test fails and goes on.
template <class Call>
auto inTime(HungVolume& volume, Call call) {
    auto result = std::async(std::launch::async, std::move(call));
    if (result.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
        ADD_FAILURE() << "waits for the disk that hangs";
        volume.release();
    }
    return result.get();
}

// Case 19: I/O in flight on a disk that hangs. Nothing waits for it that need not, and what must,
// not for ever.
TEST_F(DeviceTest, ThatHangsHoldsUpNobodyElse) {
    options_.removalLimit = std::chrono::milliseconds(500);
    std::unique_ptr<Target> target = start();
    const std::string nqn = target->subsystemNqn();
    HungVolume volume(disk_, sizeOf(disk_));
    const std::string hung = "/dev/" + mapperName("nvmeof-hung");
    ASSERT_TRUE(target->addFile(1, hung, sizeOf(hung)).ok());
    ASSERT_TRUE(target->addFile(2, dir_.file("good", kMiB), kMiB).ok());

    std::optional<RemoteHost> host(std::in_place, kLoopback, nqn);
    UniqueFd device = host->open(1), neighbour = host->open(2);
    AlignedBuffer buffer(4096), buffer2(4096);
    std::future<ssize_t> write;
    {
        Release release{volume};
        write = std::async(std::launch::async,
                           [&] { return pwrite(device.get(), buffer.data(), 4096, 0); });
        ASSERT_TRUE(waitFor([&] { return volume.holdsWrites(); }));

        const Error busy = errorOf(inTime(volume, [&] { return target->removeFile(1); }));
        EXPECT_EQ(busy.code, EBUSY);
        EXPECT_THAT(busy.message, HasSubstr(hung));
        // The kernel has taken it out of service, and waits for the write.
        EXPECT_TRUE(waitsIn("nvmet_ns_disable"));
        EXPECT_FALSE(target->exports(1));

        // Another file of the segment goes on serving, also hosts that come only now.
        ASSERT_EQ(pread(neighbour.get(), buffer2.data(), 4096, 0), 4096);
        RemoteHost newHost(kLoopback, nqn, "nqn.2014-08.org.nvmexpress:new");
        EXPECT_TRUE(newHost.connected());
        // No file comes or goes now, and who asks is told.
        const std::string more = dir_.file("more", kMiB);
        const Error added = errorOf(inTime(volume, [&] { return target->addFile(3, more, kMiB); }));
        EXPECT_EQ(added.code, EBUSY);
        EXPECT_THAT(added.message, HasSubstr(hung));
        EXPECT_EQ(errorOf(inTime(volume, [&] { return target->removeFile(2); })).code, EBUSY);
        // Another engine of this host comes, serves and goes.
        auto other = inTime(volume, [&] { return start(); });
        ASSERT_NE(other, nullptr);
        const std::string another = dir_.file("other", kMiB);
        EXPECT_TRUE(inTime(volume, [&] { return other->addFile(1, another, kMiB); }).ok());
        {
            RemoteHost otherHost(kLoopback, other->subsystemNqn());
            ASSERT_EQ(pread(otherHost.open(1).get(), buffer2.data(), 4096, 0), 4096);
        }
        EXPECT_TRUE(inTime(volume, [&] { return other->removeFile(1); }).ok());
        inTime(volume, [&] { other.reset(); });
        EXPECT_EQ(run("nvmeof_generic_admin list"), 1) << "it gives up";
        // And so does this one, as far as the kernel lets it.
        inTime(volume, [&] { target.reset(); });
        EXPECT_TRUE(waitsIn("nvmet_ns_disable"));
        EXPECT_FALSE(RemoteHost(kLoopback, nqn, "nqn.2014-08.org.nvmexpress:late").connected());
        auto next = inTime(volume, [&] { return start({"tcp", "ipv4", "127.0.0.1", "4421"}); });
        ASSERT_NE(next, nullptr);
        EXPECT_TRUE(inTime(volume, [&] { return next->addFile(1, more, kMiB); }).ok());
        inTime(volume, [&] { next.reset(); });  // with a port to remove
    }
    EXPECT_TRUE(waitFor([&] { return !std::filesystem::exists(nvmet("subsystems/" + nqn)); }));
    write.get();  // either way: the removal may have overtaken its answer
    device.reset();
    neighbour.reset();
    host.reset();
    // The port goes last.
    EXPECT_TRUE(waitFor([&] { return std::filesystem::is_empty(nvmet("ports")); }));
}

// Cases 16 and 19: nor does a dead target's disk.
TEST_F(DeviceTest, ThatHangsUnderADeadTargetHoldsUpNobody) {
    options_.removalLimit = std::chrono::milliseconds(500);
    const TreeSnapshot before = snapshot();
    HungVolume volume(disk_, sizeOf(disk_));
    const std::string hung = "/dev/" + mapperName("nvmeof-hung");
    auto process = std::make_unique<TargetProcess>([&] {
        static std::unique_ptr<Target> kept = start();
        return kept->addFile(1, hung, sizeOf(hung)).ok() ? kept->subsystemNqn() : std::string();
    });
    const std::string nqn = process->nqn();
    ASSERT_NE(nqn, "");
    std::optional<RemoteHost> host(std::in_place, kLoopback, nqn);
    UniqueFd device = host->open(1);
    AlignedBuffer buffer(4096);
    std::future<ssize_t> write;
    {
        Release release{volume};
        write = std::async(std::launch::async,
                           [&] { return pwrite(device.get(), buffer.data(), 4096, 0); });
        ASSERT_TRUE(waitFor([&] { return volume.holdsWrites(); }));
        process->kill();
        // The operator's tool gives up and says so, and what it has begun is in nobody's way.
        EXPECT_EQ(run("nvmeof_generic_admin clean"), 1);
        auto target = inTime(volume, [&] { return start(); });
        ASSERT_NE(target, nullptr);
        EXPECT_TRUE(target->addFile(1, dir_.file("file", kMiB), kMiB).ok());
        EXPECT_TRUE(std::filesystem::exists(nvmet("subsystems/" + nqn)));
    }
    write.get();
    device.reset();
    host.reset();
    EXPECT_TRUE(waitFor([&] {
        start().reset();
        return !std::filesystem::exists(nvmet("subsystems/" + nqn));
    }));
    EXPECT_EQ(snapshot(), before);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
