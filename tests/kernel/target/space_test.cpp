// SPDX-License-Identifier: Apache-2.0
// Sparse files, on a small ext4 of their own.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>

#include "file_pattern.h"
#include "kernel_fixture.h"
#include "remote_host.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

class SpaceTest : public KernelTargetTest {
 protected:
    void SetUp() override {
        ASSERT_FALSE(disks().empty());
        const std::string disk = disks().front();
        ASSERT_EQ(run("mkfs.ext4 -q -F -b 1024 " + disk), 0);
        makeFolder(mount_);
        ASSERT_EQ(::mount(disk.c_str(), mount_.c_str(), "ext4", 0, nullptr), 0);
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

}  // namespace
}  // namespace mooncake::nvmeof_generic
