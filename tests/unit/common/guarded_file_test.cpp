// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/guarded_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace mooncake::nvmeof_generic {
namespace {

class GuardedFileTest : public testing::Test {
 protected:
    GuardedFileTest() {
        std::string pattern = std::filesystem::temp_directory_path() / "nvmeof-guard-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    ~GuardedFileTest() override { std::filesystem::remove_all(folder_); }

    std::string file(const std::string& content, mode_t mode) {
        const std::string path = folder_ + "/file";
        std::ofstream(path) << content;
        EXPECT_EQ(chmod(path.c_str(), mode), 0);
        return path;
    }
    static int codeOf(const Result<Secret>& result) {
        return result.ok() ? 0 : result.error().code;
    }

    std::string folder_;
};

TEST_F(GuardedFileTest, ReadsWhatIsOurs) {
    const auto content =
        readGuardedFile(file("content\n", 0600), FileGuard::kSecret, 8, PathCheck::kOn);
    ASSERT_TRUE(content.ok()) << content.error().message;
    EXPECT_EQ(content.value().view(), "content\n");
    EXPECT_TRUE(readGuardedFile(file("", 0400), FileGuard::kSecret, 8, PathCheck::kOn).ok());
    EXPECT_TRUE(readGuardedFile(file("list", 0644), FileGuard::kUnforged, 8, PathCheck::kOn).ok());
}

TEST_F(GuardedFileTest, RefusesWhatOthersMayUse) {
    for (const mode_t mode : {0640, 0620, 0610, 0604, 0602, 0601}) {
        const std::string path = file("secret", mode);
        const auto read = readGuardedFile(path, FileGuard::kSecret, 8, PathCheck::kOn);
        ASSERT_EQ(codeOf(read), EACCES) << std::oct << mode;
        EXPECT_NE(read.error().message.find("chmod 600"), std::string::npos);
        EXPECT_NE(read.error().message.find(path), std::string::npos);
        EXPECT_EQ(read.error().message.find("secret"), std::string::npos);
    }
    for (const mode_t mode : {0660, 0646}) {
        EXPECT_EQ(
            codeOf(readGuardedFile(file("list", mode), FileGuard::kUnforged, 8, PathCheck::kOn)),
            EACCES);
    }
}

TEST_F(GuardedFileTest, RefusesTheFileOfAnotherUser) {
    if (geteuid() != 0) GTEST_SKIP() << "takes root to give a file away";
    const std::string path = file("secret", 0600);
    ASSERT_EQ(chown(path.c_str(), 1, 0), 0);
    EXPECT_EQ(codeOf(readGuardedFile(path, FileGuard::kSecret, 8, PathCheck::kOn)), EACCES);
    EXPECT_EQ(codeOf(readGuardedFile(path, FileGuard::kUnforged, 8, PathCheck::kOn)), EACCES);
}

TEST_F(GuardedFileTest, RefusesOtherKinds) {
    const std::string path = file("secret", 0600), link = folder_ + "/link";
    ASSERT_EQ(symlink(path.c_str(), link.c_str()), 0);
    EXPECT_EQ(codeOf(readGuardedFile(link, FileGuard::kSecret, 8, PathCheck::kOn)), ELOOP);
    EXPECT_EQ(codeOf(readGuardedFile(link, FileGuard::kUnforged, 8, PathCheck::kOn)), 0);
    EXPECT_EQ(codeOf(readGuardedFile(folder_, FileGuard::kSecret, 8, PathCheck::kOn)), EINVAL);
    EXPECT_EQ(codeOf(readGuardedFile("/dev/null", FileGuard::kUnforged, 8, PathCheck::kOn)),
              EINVAL);
    const std::string fifo = folder_ + "/fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(codeOf(readGuardedFile(fifo, FileGuard::kSecret, 8, PathCheck::kOn)), EINVAL);
    EXPECT_EQ(codeOf(readGuardedFile(folder_ + "/none", FileGuard::kSecret, 8, PathCheck::kOn)),
              ENOENT);
}

// Who may write to the folder can put a link to another file of root's there.
TEST_F(GuardedFileTest, RefusesAFolderThatOthersMayWriteTo) {
    const std::string path = file("secret", 0600);
    ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
    for (const FileGuard guard : {FileGuard::kSecret, FileGuard::kUnforged}) {
        EXPECT_EQ(codeOf(readGuardedFile(path, guard, 8, PathCheck::kOn)), EACCES);
        EXPECT_EQ(codeOf(readGuardedFile(path, guard, 8, PathCheck::kOff)), 0);
    }
}

TEST_F(GuardedFileTest, HasALimit) {
    EXPECT_EQ(
        codeOf(readGuardedFile(file("123456789", 0600), FileGuard::kSecret, 8, PathCheck::kOn)),
        EFBIG);
    EXPECT_EQ(
        codeOf(readGuardedFile(file("12345678", 0600), FileGuard::kSecret, 8, PathCheck::kOn)), 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
