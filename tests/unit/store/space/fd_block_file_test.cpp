// SPDX-License-Identifier: Apache-2.0
#include "fd_block_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "content_probe.h"

namespace mooncake::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FdBlockFileTest : public ::testing::Test {
 protected:
    FdBlockFileTest() {
        std::string name = (fs::temp_directory_path() / "block_file.XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
        path_ = folder_ / "file";
        std::ofstream(path_).close();
        fs::resize_file(path_, 16 << 20);
    }
    ~FdBlockFileTest() override { fs::remove_all(folder_); }

    std::string content() {
        const int fd = open(path_.c_str(), O_RDONLY);
        const auto found = probeContent(fd);
        close(fd);
        EXPECT_TRUE(found);
        return found ? *found : "";
    }

    fs::path folder_;
    fs::path path_;
};

TEST_F(FdBlockFileTest, MovesBlocksToWhereTheyBelong) {
    auto opened = FdBlockFile::open(path_);
    ASSERT_TRUE(opened) << opened.error().message;
    FdBlockFile& file = **opened;
    EXPECT_EQ(file.size(), 16u << 20);
    // Longer than one I/O, from memory that lies anywhere.
    std::vector<std::byte> out((3 << 20) + 2 * kBlockBytes + 1);
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 31 + i / 4096);
    const std::span<const std::byte> bytes(out.data() + 1, out.size() - 1);
    ASSERT_TRUE(file.write(kBlockBytes, bytes));
    ASSERT_TRUE(file.flush());
    std::ifstream in(path_, std::ios::binary);
    std::vector<char> seen(bytes.size());
    in.seekg(kBlockBytes);
    in.read(seen.data(), static_cast<std::streamsize>(seen.size()));
    EXPECT_EQ(std::memcmp(seen.data(), bytes.data(), bytes.size()), 0);
    std::vector<std::byte> back(bytes.size() + 1);
    ASSERT_TRUE(file.read(kBlockBytes, std::span(back).subspan(1)));
    EXPECT_EQ(std::memcmp(back.data() + 1, bytes.data(), bytes.size()), 0);
}

TEST_F(FdBlockFileTest, TakesWholeBlocksWithinTheFile) {
    auto opened = FdBlockFile::open(path_);
    ASSERT_TRUE(opened);
    std::vector<std::byte> memory(2 * kBlockBytes);
    const std::span<std::byte> all(memory);
    EXPECT_EQ((*opened)->read(512, all).error().failure, Failure::kInvalid);
    EXPECT_EQ((*opened)->read(0, all.first(100)).error().failure, Failure::kInvalid);
    EXPECT_EQ((*opened)->write((16 << 20) - kBlockBytes, all).error().failure, Failure::kInvalid);
    EXPECT_TRUE((*opened)->write((16 << 20) - 2 * kBlockBytes, all));
}

TEST_F(FdBlockFileTest, AFileThatHasBecomeShorterIsNotReadAsZeros) {
    auto opened = FdBlockFile::open(path_);
    ASSERT_TRUE(opened);
    fs::resize_file(path_, 1 << 20);
    std::vector<std::byte> memory(2 * kBlockBytes);
    const auto read = (*opened)->read((1 << 20) - kBlockBytes, memory);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().failure, Failure::kUnavailable);
    EXPECT_THAT(read.error().message, HasSubstr("shorter"));
}

TEST_F(FdBlockFileTest, SaysWhyItCannotBeOpened) {
    EXPECT_EQ(FdBlockFile::open(folder_ / "none").error().failure, Failure::kNotFound);
    EXPECT_EQ(FdBlockFile::open(folder_).error().failure, Failure::kInvalid);
    EXPECT_EQ(FdBlockFile::open("/dev/null").error().failure, Failure::kInvalid);
    ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(FdBlockFile::open(folder_ / "pipe").error().failure, Failure::kInvalid);
}

TEST_F(FdBlockFileTest, ContentIsRecognised) {
    EXPECT_EQ(content(), "");
    ASSERT_EQ(
        std::system(("PATH=$PATH:/sbin:/usr/sbin mkswap -q '" + path_.string() + "'").c_str()), 0);
    EXPECT_EQ(content(), "swap (other)");
    // A partition table of the old kind, with one partition.
    fs::resize_file(path_, 0);
    fs::resize_file(path_, 16 << 20);
    std::fstream table(path_, std::ios::in | std::ios::out | std::ios::binary);
    const unsigned char partition[] = {0, 0, 2, 0, 0x83, 0, 3, 0, 1, 0, 0, 0, 0, 8, 0, 0};
    table.seekp(446);
    table.write(reinterpret_cast<const char*>(partition), sizeof(partition));
    table.seekp(510);
    table.write("\x55\xaa", 2);
    table.close();
    EXPECT_EQ(content(), "dos partition table");
}

// The child has the descriptor for as long as it lives.
TEST_F(FdBlockFileTest, ItsLockEndsWithItDespiteAForkedChild) {
    auto file = FdBlockFile::open(path_);
    ASSERT_TRUE(file);
    ASSERT_EQ(flock((*file)->fd(), LOCK_EX | LOCK_NB), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        for (;;) pause();
    }
    file->reset();
    const auto again = FdBlockFile::open(path_);
    EXPECT_TRUE(again);
    if (again) {
        EXPECT_EQ(flock((*again)->fd(), LOCK_EX | LOCK_NB), 0) << std::strerror(errno);
    }
    kill(child, SIGKILL);
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

}  // namespace
}  // namespace mooncake::store
