// SPDX-License-Identifier: Apache-2.0
#include "file_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class FileSpaceTest : public testing::Test {
 protected:
    UniqueFd openFile(const std::string& path) {
        return UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    }
    static uint64_t allocated(int fd) {
        struct stat status;
        EXPECT_EQ(fstat(fd, &status), 0);
        return static_cast<uint64_t>(status.st_blocks) * 512;
    }
    TempDir dir_;
};

TEST_F(FileSpaceTest, FillsHolesAndLeavesTheContent) {
    const std::string path = dir_.path() + "/sparse";
    UniqueFd file = openFile(path);
    ASSERT_EQ(ftruncate(file.get(), 4 * kMiB), 0);
    ASSERT_EQ(pwrite(file.get(), "data", 4, kMiB), 4);
    const std::string before(std::istreambuf_iterator<char>(std::ifstream(path).rdbuf()), {});
    ASSERT_LT(allocated(file.get()), kMiB);

    ASSERT_TRUE(reserveSpace(file.get(), 4 * kMiB, "'sparse'").ok());
    EXPECT_GE(allocated(file.get()), 4 * kMiB);
    const std::string after(std::istreambuf_iterator<char>(std::ifstream(path).rdbuf()), {});
    EXPECT_TRUE(before == after);
}

TEST_F(FileSpaceTest, ReservesNoMoreThanAsked) {
    UniqueFd file = openFile(dir_.path() + "/sparse");
    ASSERT_EQ(ftruncate(file.get(), 4 * kMiB), 0);
    ASSERT_TRUE(reserveSpace(file.get(), kMiB, "'sparse'").ok());
    EXPECT_GE(allocated(file.get()), kMiB);
    EXPECT_LT(allocated(file.get()), 2 * kMiB);
    struct stat status;
    ASSERT_EQ(fstat(file.get(), &status), 0);
    EXPECT_EQ(status.st_size, static_cast<off_t>(4 * kMiB));
}

// Case 9, its cheap half: no attempt is made where the space is not there.
TEST_F(FileSpaceTest, RefusesWhatTheDiskDoesNotHave) {
    UniqueFd file = openFile(dir_.path() + "/sparse");
    constexpr uint64_t kTooMuch = uint64_t{15} << 40;  // sparse files of ext4 go to 16 TiB
    ASSERT_EQ(ftruncate(file.get(), kTooMuch), 0);
    struct stat before, after;
    ASSERT_EQ(fstat(file.get(), &before), 0);
    const auto reserved = reserveSpace(file.get(), kTooMuch, "'sparse'");
    ASSERT_FALSE(reserved.ok());
    EXPECT_EQ(reserved.error().code, ENOSPC);
    EXPECT_NE(reserved.error().message.find("'sparse'"), std::string::npos);
    EXPECT_EQ(allocated(file.get()), 0u);
    ASSERT_EQ(fstat(file.get(), &after), 0);
    EXPECT_EQ(after.st_ctim.tv_sec, before.st_ctim.tv_sec);
    EXPECT_EQ(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
}

// What is there already takes nothing, however full the disk is.
TEST_F(FileSpaceTest, LeavesAFileWithoutHolesAlone) {
    UniqueFd file = openFile(dir_.path() + "/whole");
    ASSERT_EQ(fallocate(file.get(), 0, 0, 4 * kMiB), 0);
    const uint64_t before = allocated(file.get());
    EXPECT_TRUE(reserveSpace(file.get(), 4 * kMiB, "'whole'").ok());
    EXPECT_EQ(allocated(file.get()), before);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
