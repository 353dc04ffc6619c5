// SPDX-License-Identifier: Apache-2.0
// Sparse files, on a small ext4 of their own.
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "file_pattern.h"
#include "file_space.h"
#include "kernel_fixture.h"
#include "log_lines.h"
#include "remote_host.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

class SpaceTest : public KernelTargetTest {
 protected:
    explicit SpaceTest(std::string type = "ext4",
                       std::string makeFileSystem = "mkfs.ext4 -q -F -b 1024")
        : type_(std::move(type)), makeFileSystem_(std::move(makeFileSystem)) {}
    void SetUp() override {
        ASSERT_EQ(disks().size(), 2u);
        const std::string disk = disks()[type_ == "ext4" ? 0 : 1];  // the others take 300 MiB
        ASSERT_EQ(run(makeFileSystem_ + " " + disk), 0);
        makeFolder(mount_);
        ASSERT_EQ(::mount(disk.c_str(), mount_.c_str(), type_.c_str(), 0, nullptr), 0);
        target_ = start();
        ASSERT_NE(target_, nullptr);
    }
    void TearDown() override {
        target_.reset();
        EXPECT_EQ(umount(mount_.c_str()), 0);
        KernelTargetTest::TearDown();
    }

    UniqueFd makeSparse(uint64_t size) {
        UniqueFd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(size)), 0);
        return file;
    }
    uint64_t freeBytes() const {
        sync();  // blocks whose allocation is still to come count only then
        struct statvfs status;
        EXPECT_EQ(statvfs(mount_.c_str(), &status), 0);
        return status.f_bfree * status.f_frsize;
    }
    struct stat statOf(int fd) const {
        struct stat status;
        EXPECT_EQ(fstat(fd, &status), 0);
        return status;
    }

    std::pair<time_t, long> changeOf(int fd) const {
        const struct stat status = statOf(fd);
        return {status.st_ctim.tv_sec, status.st_ctim.tv_nsec};
    }

    void fillDisk() {
        const UniqueFd file(
            ::open((mount_ + "/rest").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        off_t at = 0;
        for (off_t size = 64 * kMiB; size >= 4096;) {
            if (::fallocate(file.get(), 0, at, size) == 0) {
                at += size;
            } else {
                size /= 2;
            }
        }
        sync();
    }
    // Written by a remote host, to the device.
    bool write(uint32_t nsid, uint64_t offset, uint64_t length) {
        RemoteHost host(kLoopback, target_->subsystemNqn());
        UniqueFd device = host.open(nsid);
        test_support::AlignedBuffer buffer(length);
        test_support::fillPattern(1, offset, buffer.data(), length);
        return ::pwrite(device.get(), buffer.data(), length, static_cast<off_t>(offset)) ==
               static_cast<ssize_t>(length);
    }

    const std::string type_, makeFileSystem_;
    const std::string mount_ = dir_.path() + "/small";
    const std::string path_ = mount_ + "/sparse";
    std::unique_ptr<Target> target_;
};

TEST_F(SpaceTest, ASparseFileGetsItsSpace) {
    UniqueFd file = makeSparse(8 * kMiB);
    const auto exported = target_->addFile(1, path_, 8 * kMiB);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_GE(static_cast<uint64_t>(statOf(file.get()).st_blocks) * 512, 8 * kMiB);
}

TEST_F(SpaceTest, AFileInSmallBlocks) {
    const std::string path = mount_ + "/file";
    test_support::makeFile(path, kMiB + 1024 + 5);
    const auto exported = target_->addFile(1, path, kMiB + 1024 + 5);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_EQ(exported.value().size, kMiB + 1024);
    EXPECT_EQ(exported.value().blockSize, 1024u);
    RemoteHost host(kLoopback, target_->subsystemNqn());
    UniqueFd device = host.open(1);
    EXPECT_EQ(deviceSize(device.get()), kMiB + 1024);
    EXPECT_EQ(deviceBlockSize(device.get()), 1024u);
}

// Case 9: sparse file on a full disk.
TEST_F(SpaceTest, AFileLargerThanTheDiskIsRefused) {
    UniqueFd file = makeSparse(1024 * kMiB);
    const uint64_t before = freeBytes();
    const auto change = changeOf(file.get());
    const Error error = errorOf(target_->addFile(1, path_, 1024 * kMiB));
    EXPECT_EQ(error.code, ENOSPC) << error.message;
    EXPECT_EQ(statOf(file.get()).st_blocks, 0);
    EXPECT_EQ(freeBytes(), before);
    EXPECT_EQ(changeOf(file.get()), change) << "not even tried: the disk would be full meanwhile";
}

// Case 9: as many blocks as it takes seem free, but the file system keeps some for itself. The
// attempt fails half-way, and what it took is given back: not the data, and not the space that the
// owner of the file had reserved.
TEST_F(SpaceTest, AFailedReservationIsUndone) {
    UniqueFd file = makeSparse(kMiB);
    ASSERT_EQ(pwrite(file.get(), "data", 4, 5 * kMiB), 4);
    ASSERT_EQ(fallocate(file.get(), 0, 10 * kMiB, kMiB / 4), 0);
    ASSERT_EQ(fsync(file.get()), 0);
    const uint64_t free = freeBytes();
    const struct stat before = statOf(file.get());
    // Less than what seems free by more than what the owner reserved: that this was counted, too,
    // is no reason not to try.
    const uint64_t size =
        (free + static_cast<uint64_t>(before.st_blocks) * 512) / 4096 * 4096 - 300 * 1024;
    ASSERT_EQ(ftruncate(file.get(), static_cast<off_t>(size)), 0);

    const Error error = errorOf(target_->addFile(1, path_, size));
    EXPECT_EQ(error.code, ENOSPC) << error.message;
    EXPECT_EQ(statOf(file.get()).st_size, static_cast<off_t>(size));
    // The file system may keep what it made to describe the file's many pieces.
    EXPECT_GE(statOf(file.get()).st_blocks, before.st_blocks);
    EXPECT_LE(statOf(file.get()).st_blocks, before.st_blocks + 16);
    EXPECT_GE(freeBytes(), free - 16 * 512);
    char data[4] = {};
    EXPECT_EQ(pread(file.get(), data, 4, 5 * kMiB), 4);
    EXPECT_EQ(std::string(data, 4), "data");
}

// The call would wait for the thaw.
TEST_F(SpaceTest, AFrozenFileSystemIsAnErrorInTime) {
    target_.reset();
    options_.spaceLimit = std::chrono::milliseconds(500);
    target_ = start();
    UniqueFd sparse = makeSparse(8 * kMiB);
    const std::string whole = mount_ + "/whole";
    test_support::makeFile(whole, kMiB);
    const UniqueFd folder(::open(mount_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(ioctl(folder.get(), FIFREEZE, 0), 0);
    const auto first = target_->addFile(1, path_, 8 * kMiB);
    const auto second = target_->addFile(2, whole, kMiB);
    ASSERT_EQ(ioctl(folder.get(), FITHAW, 0), 0);
    for (const auto* added : {&first, &second}) {
        EXPECT_EQ(errorOf(*added).code, EBUSY);
        EXPECT_NE(errorOf(*added).message.find("is frozen"), std::string::npos);
    }
    EXPECT_TRUE(target_->addFile(1, path_, 8 * kMiB).ok());
    EXPECT_TRUE(target_->addFile(2, whole, kMiB).ok());
}

class TmpfsTest : public KernelTargetTest {};

// Linux 6.1's takes back what it has allocated at each of a fast timer's signals.
TEST_F(TmpfsTest, EndsWhateverSignalsCome) {
    const std::string folder = dir_.path() + "/memory";
    makeFolder(folder);
    ASSERT_EQ(::mount("none", folder.c_str(), "tmpfs", 0, nullptr), 0);
    {
        struct sigaction handler {
        }, before{};
        handler.sa_handler = [](int) {};
        ASSERT_EQ(sigaction(SIGALRM, &handler, &before), 0);
        const UniqueFd file(
            ::open((folder + "/sparse").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        ASSERT_EQ(ftruncate(file.get(), 32 * kMiB), 0);
        const itimerval fast{{0, 500}, {0, 500}}, off{};
        ASSERT_EQ(setitimer(ITIMER_REAL, &fast, nullptr), 0);
        const auto reserved = reserveSpace(file.get(), 32 * kMiB, "'sparse'");
        setitimer(ITIMER_REAL, &off, nullptr);
        sigaction(SIGALRM, &before, nullptr);
        EXPECT_TRUE(reserved.ok());
        struct stat status;
        ASSERT_EQ(fstat(file.get(), &status), 0);
        EXPECT_GE(static_cast<uint64_t>(status.st_blocks) * 512, 32 * kMiB);
    }
    EXPECT_EQ(umount(folder.c_str()), 0);
}

class XfsTest : public SpaceTest {
 protected:
    XfsTest() : SpaceTest("xfs", "mkfs.xfs -q -f") {}
};

// XFS cannot reserve on a full disk what is there already.
TEST_F(XfsTest, AWholeFileOnAFullDisk) {
    const std::string whole = mount_ + "/whole";
    test_support::makeFile(whole, 8 * kMiB);
    fillDisk();
    const auto exported = target_->addFile(1, whole, 8 * kMiB);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_TRUE(write(1, 0, kMiB));
}

// What cp makes where it can: the blocks are another file's, too.
TEST_F(XfsTest, AFileThatSharesItsBlocksGetsItsOwn) {
    const std::string original = mount_ + "/original", copy = mount_ + "/copy";
    {
        // Written: space that is only reserved is not shared.
        const UniqueFd file(::open(original.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        const std::vector<char> data(8 * kMiB, 'x');
        ASSERT_EQ(::write(file.get(), data.data(), data.size()), static_cast<ssize_t>(data.size()));
        ASSERT_EQ(fsync(file.get()), 0);
    }
    {
        const UniqueFd from(::open(original.c_str(), O_RDONLY | O_CLOEXEC));
        const UniqueFd to(::open(copy.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        ASSERT_EQ(ioctl(to.get(), FICLONE, from.get()), 0);
        ASSERT_EQ(fsync(to.get()), 0);
    }
    const uint64_t before = freeBytes();
    const auto exported = target_->addFile(1, copy, 8 * kMiB);
    ASSERT_TRUE(exported.ok()) << exported.error().message;
    EXPECT_LE(freeBytes() + 7 * kMiB, before);
    fillDisk();
    EXPECT_TRUE(write(1, 0, 4 * kMiB));
    // Without room for that it is an error.
    const std::string another = mount_ + "/another";
    {
        const UniqueFd from(::open(original.c_str(), O_RDONLY | O_CLOEXEC));
        ASSERT_EQ(::truncate((mount_ + "/rest").c_str(), 0), 0);
        const UniqueFd to(::open(another.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        ASSERT_EQ(ioctl(to.get(), FICLONE, from.get()), 0);
    }
    fillDisk();
    EXPECT_EQ(errorOf(target_->addFile(2, another, 8 * kMiB)).code, ENOSPC);
}

class BtrfsTest : public SpaceTest {
 protected:
    BtrfsTest() : SpaceTest("btrfs", "mkfs.btrfs -q -f") {}
};

// Each write takes new space: said, and the file is served.
TEST_F(BtrfsTest, SaysThatItCopiesOnWrite) {
    const std::string file = mount_ + "/file", inPlace = mount_ + "/in-place";
    test_support::makeFile(file, kMiB);
    {
        const UniqueFd made(::open(inPlace.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        int flags = FS_NOCOW_FL;
        ASSERT_EQ(ioctl(made.get(), FS_IOC_SETFLAGS, &flags), 0);
        ASSERT_EQ(fallocate(made.get(), 0, 0, kMiB), 0);
    }
    for (const bool copies : {true, false}) {
        const test_support::LogLines lines;
        ASSERT_TRUE(target_->addFile(copies ? 1 : 2, copies ? file : inPlace, kMiB).ok());
        EXPECT_EQ(lines.contain("copies on write"), copies);
    }
    EXPECT_TRUE(write(1, 0, kMiB));
    fillDisk();
    EXPECT_TRUE(write(2, 0, kMiB));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
