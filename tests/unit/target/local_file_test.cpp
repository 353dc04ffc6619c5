// SPDX-License-Identifier: Apache-2.0
// Exported files that the exporting process opens itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint64_t kSize = 16384;

class LocalFileTest : public TargetTest {
 protected:
    LocalFileTest() { options_.localAccess = true; }

    /// Without direct I/O, which not every folder for temporary files has.
    static Result<LocalFile> open(Target& target, uint32_t nsid) {
        return target.openLocally(nsid, 0);
    }
    static ino_t inodeOf(const UniqueFd& file) {
        struct stat status {};
        EXPECT_EQ(fstat(file.get(), &status), 0);
        return status.st_ino;
    }
};

TEST_F(LocalFileTest, IsWhatRemoteHostsReach) {
    auto target = start();
    const std::string path = files_.file("file", kSize + 100);
    ASSERT_TRUE(target->addFile(7, path, kSize + 100).ok());
    auto opened = open(*target, 7);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const LocalFile file = opened.take();
    EXPECT_EQ(file.path, path);
    EXPECT_EQ(file.size, kSize);
    EXPECT_EQ(file.blockSize, 4096U);
    EXPECT_FALSE(file.readOnly);
    EXPECT_EQ(fcntl(file.fd.get(), F_GETFL) & O_ACCMODE, O_RDWR);
    EXPECT_EQ(fcntl(file.fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char byte = 0;
    EXPECT_EQ(pread(file.fd.get(), &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'x');
}

TEST_F(LocalFileTest, HasTheFlagsThatAreAskedFor) {
    auto target = start();
    const std::string path = files_.file("file", kSize);
    ASSERT_TRUE(target->addFile(1, path, kSize).ok());
    const auto opened = target->openLocally(1, O_DIRECT);
    const UniqueFd same(::open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    if (!same.valid()) {
        EXPECT_EQ(errorOf(opened).code, EOPNOTSUPP) << "the folder has no direct I/O";
        return;
    }
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(fcntl(opened.value().fd.get(), F_GETFL) & O_DIRECT, O_DIRECT);
}

// The file that was judged, and not what has its name by now.
TEST_F(LocalFileTest, IsTheOneThatIsExported) {
    auto target = start();
    const std::string folder = files_.path() + "/folder";
    std::filesystem::create_directory(folder);
    ASSERT_TRUE(target->addFile(1, files_.file("folder/file", kSize), kSize).ok());
    auto before = open(*target, 1);
    ASSERT_TRUE(before.ok());
    const LocalFile judged = before.take();
    std::filesystem::rename(folder, files_.path() + "/moved");
    std::filesystem::create_directory(folder);
    files_.file("folder/file", kSize);
    auto after = open(*target, 1);
    ASSERT_TRUE(after.ok()) << after.error().message;
    EXPECT_EQ(inodeOf(after.value().fd), inodeOf(judged.fd));
}

TEST_F(LocalFileTest, GoesWithItsExport) {
    auto target = start();
    ASSERT_TRUE(target->addFile(1, files_.file("file", kSize), kSize).ok());
    EXPECT_EQ(errorOf(open(*target, 2)).code, ENOENT);
    ASSERT_TRUE(target->removeFile(1).ok());
    EXPECT_EQ(errorOf(open(*target, 1)).code, ENOENT);
}

TEST_F(LocalFileTest, IsForTargetsThatWereToldSo) {
    options_.localAccess = false;
    auto target = start();
    ASSERT_TRUE(target->addFile(1, files_.file("file", kSize), kSize).ok());
    EXPECT_EQ(errorOf(open(*target, 1)).code, EOPNOTSUPP);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
