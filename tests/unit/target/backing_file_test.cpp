// SPDX-License-Identifier: Apache-2.0
#include "backing_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "temp_dir.h"

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;

class BackingFileTest : public testing::Test {
 protected:
    std::string at(const std::string& name) { return dir_.path() + "/" + name; }

    void expectRefused(const std::string& path, int code, const std::string& why) {
        const auto opened = BackingFile::open(path, {});
        ASSERT_FALSE(opened.ok()) << path;
        EXPECT_EQ(opened.error().code, code) << opened.error().message;
        EXPECT_THAT(opened.error().message, HasSubstr(path.substr(0, path.find('\0'))));
        EXPECT_THAT(opened.error().message, HasSubstr(why));
    }

    TempDir dir_;
};

// Case 10: kinds of file that cannot be exported.
TEST_F(BackingFileTest, RefusesOtherKindsOfFiles) {
    expectRefused(dir_.path(), EINVAL, "folder");
    expectRefused("/dev/null", EINVAL, "character device");
    // Opened for real, a pipe without a reader or writer would block, or fail with another errno.
    ASSERT_EQ(mkfifo(at("pipe").c_str(), 0600), 0);
    expectRefused(at("pipe"), EINVAL, "pipe");
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    at("socket").copy(name.sun_path, sizeof(name.sun_path) - 1);
    ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
    expectRefused(at("socket"), EINVAL, "socket");
    std::filesystem::create_directory_symlink(dir_.path(), at("to-folder"));
    expectRefused(at("to-folder"), EINVAL, "folder");
}

// Who may write to its folder could have put the file there.
TEST_F(BackingFileTest, TheWayToItIsJudged) {
    const std::string path = dir_.file("file", 4096);
    ASSERT_EQ(chmod(dir_.path().c_str(), 0777), 0);
    expectRefused(path, EACCES, dir_.path());
    EXPECT_TRUE(BackingFile::open(path, {.pathCheck = PathCheck::kOff}).ok());
}

// Case 10: names that lead nowhere.
TEST_F(BackingFileTest, RefusesMissingFiles) {
    expectRefused(at("missing"), ENOENT, "No such file");
    std::filesystem::create_symlink(at("missing"), at("dangling"));
    expectRefused(at("dangling"), ENOENT, "symbolic link");
    expectRefused("", EINVAL, "");
    const std::string file = dir_.file("file", 4096);
    expectRefused(file + std::string("\0x", 2), EINVAL, "file");
    expectRefused(file + "/below", ENOTDIR, "Not a directory");
    EXPECT_FALSE(std::filesystem::exists(at("missing")));
}

// Case 10: no permission.
TEST_F(BackingFileTest, RefusesFilesWithoutPermission) {
    const std::string path = dir_.file("file", 4096);
    ASSERT_EQ(chmod(path.c_str(), 0444), 0);
    ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
    const pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(1);
        const auto opened = BackingFile::open(path, {});
        _exit(!opened.ok() && opened.error().code == EACCES &&
                      opened.error().message.find("permitted") != std::string::npos
                  ? 0
                  : 2);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(BackingFileTest, KnowsAFileByItsInode) {
    const std::string path = dir_.file("file", 5000);
    std::filesystem::create_hard_link(path, at("hard"));
    std::filesystem::create_symlink(path, at("soft"));
    const auto file = BackingFile::open(path, {});
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file.value().path(), path);
    EXPECT_EQ(file.value().geometry().size, 5000u);
    EXPECT_FALSE(file.value().identity().blockDevice);
    for (const std::string& name :
         {at("hard"), at("soft"),
          at("../") + std::filesystem::path(dir_.path()).filename().string() + "/./file"}) {
        const auto other = BackingFile::open(name, {});
        ASSERT_TRUE(other.ok()) << other.error().message;
        EXPECT_EQ(other.value().identity(), file.value().identity()) << name;
    }
    const auto different = BackingFile::open(dir_.file("other", 5000), {});
    EXPECT_NE(different.value().identity(), file.value().identity());
}

TEST_F(BackingFileTest, AsksTheFileSystemForItsBlocks) {
    const auto file = BackingFile::open(dir_.file("file", 5000), {});
    ASSERT_TRUE(file.ok());
    struct stat status;
    ASSERT_EQ(fstat(file.value().fd(), &status), 0);
    EXPECT_EQ(file.value().geometry().blockSize, std::min<uint32_t>(4096, status.st_blksize));
}

// Case 13: what was judged is found again, whatever has its name now.
TEST_F(BackingFileTest, ProcPathLeadsToTheOpenFile) {
    const std::string path = dir_.file("file", 8192);
    const auto file = BackingFile::open(path, {});
    ASSERT_TRUE(file.ok());
    std::filesystem::rename(path, at("moved"));
    dir_.file("file", 4096);
    const auto found =
        BackingFile::open(procPath(file.value().fd()), {.pathCheck = PathCheck::kOff});
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found.value().identity(), file.value().identity());
    EXPECT_NE(BackingFile::open(path, {}).value().identity(), file.value().identity());
}

// Case 13: what is judged first, the kind and the identity, and the file behind the descriptor are
// one, whatever happens to the name between.
TEST_F(BackingFileTest, IsOneFileFromTheFirstLookOn) {
    const std::string name = at("name"), next = at("next");
    const std::string files[] = {dir_.file("a", 4096), dir_.file("b", 4096)};
    std::filesystem::create_symlink(files[0], name);
    std::atomic<bool> stop{false};
    std::thread swapper([&] {
        for (int i = 0; !stop; ++i) {
            std::filesystem::create_symlink(files[i % 2], next);
            std::filesystem::rename(next, name);
        }
    });
    for (int i = 0; i < 2000; ++i) {
        const auto file = BackingFile::open(name, {});
        ASSERT_TRUE(file.ok()) << file.error().message;
        struct stat status;
        ASSERT_EQ(fstat(file.value().fd(), &status), 0);
        EXPECT_EQ(status.st_ino, file.value().identity().inode) << "attempt " << i;
        if (HasFailure()) break;
    }
    stop = true;
    swapper.join();
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
