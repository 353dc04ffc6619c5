// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/open_path.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A tree below a sticky folder of root's, as /tmp is: open/ belongs to us, shared/ is sticky.
class OpenPathTest : public testing::Test {
 protected:
    OpenPathTest() {
        std::string pattern = fs::temp_directory_path() / "nvmeof-path-XXXXXX";
        root_ = mkdtemp(pattern.data());
        fs::create_directories(root_ + "/folder/deep");
        makeFile("folder/deep/file");
        fs::create_directory(root_ + "/shared");
        mode("shared", 01777);
    }
    ~OpenPathTest() override { fs::remove_all(root_); }

    std::string at(const std::string& name) const { return root_ + "/" + name; }
    void makeFile(const std::string& name) { std::ofstream(at(name)) << name; }
    void mode(const std::string& name, mode_t bits) { ASSERT_EQ(chmod(at(name).c_str(), bits), 0); }

    static Result<UniqueFd> open(const std::string& path, PathCheck check = PathCheck::kOn,
                                 LastLink link = LastLink::kFollow) {
        return openPath(path, check, link, "cannot open it");
    }
    static void expectRefused(const std::string& path, int code, const std::string& why,
                              LastLink link = LastLink::kFollow) {
        const auto opened = open(path, PathCheck::kOn, link);
        ASSERT_FALSE(opened.ok()) << path;
        EXPECT_EQ(opened.error().code, code) << opened.error().message;
        EXPECT_THAT(opened.error().message, HasSubstr("cannot open it: "));
        EXPECT_THAT(opened.error().message, HasSubstr(why));
    }
    void expectOpens(const std::string& path, const std::string& what,
                     LastLink link = LastLink::kFollow) {
        const auto opened = open(path, PathCheck::kOn, link);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        struct stat got, wanted;
        ASSERT_EQ(fstat(opened.value().get(), &got), 0);
        ASSERT_EQ(stat(at(what).c_str(), &wanted), 0);
        EXPECT_EQ(got.st_ino, wanted.st_ino) << path;
        EXPECT_EQ(fcntl(opened.value().get(), F_GETFL) & O_PATH, O_PATH);
    }

    std::string root_;
};

TEST_F(OpenPathTest, OpensWhatNobodyElseHasAHandIn) {
    const std::string file = "folder/deep/file";
    expectOpens(at(file), file);
    expectOpens(at("folder//./deep/../deep///file"), file);
    expectOpens(at("folder/deep"), "folder/deep");
    expectOpens(at("folder/deep/"), "folder/deep");
    expectOpens(at("folder/.."), ".");
    const fs::path here = fs::current_path();
    fs::current_path(at("folder"));
    expectOpens("deep/file", file);
    expectOpens("./../folder/deep/file", file);
    fs::current_path(here);
}

// Whom it belongs to and who may write to it is the file's own affair.
TEST_F(OpenPathTest, DoesNotJudgeTheFile) {
    mode("folder/deep/file", 0666);
    if (geteuid() == 0) {
        ASSERT_EQ(chown(at("folder/deep/file").c_str(), 65534, 65534), 0);
    }
    expectOpens(at("folder/deep/file"), "folder/deep/file");
}

TEST_F(OpenPathTest, RefusesFoldersThatOthersMayWriteTo) {
    for (const mode_t bits : {0775, 0757, 0777, 02775}) {
        mode("folder", bits);
        expectRefused(at("folder/deep/file"), EACCES, at("folder"));
        expectRefused(at("folder/deep/file"), EACCES, "chmod go-w");
        expectRefused(at("folder/deep/file"), EACCES, "PATH_CHECK=off");
        EXPECT_TRUE(open(at("folder/deep/file"), PathCheck::kOff).ok());
    }
    mode("folder", 0755);
    mode("folder/deep", 0770);
    expectRefused(at("folder/deep/file"), EACCES,
                  at("folder/deep'") + " belongs to user " + std::to_string(geteuid()) +
                      " and has mode 0770");
}

TEST_F(OpenPathTest, RefusesFoldersOfOthers) {
    if (geteuid() != 0) GTEST_SKIP() << "takes root to give a folder away";
    ASSERT_EQ(chown(at("folder").c_str(), 65534, 65534), 0);
    expectRefused(at("folder/deep/file"), EACCES, "belongs to user 65534 and has mode 0755");
    expectRefused(at("folder/deep/file"), EACCES, "chown it to root");
    // The way there and back again leads through it, too.
    expectRefused(at("folder/deep/../../folder"), EACCES, "65534");
    expectRefused(at("folder/.."), EACCES, "65534");
    EXPECT_TRUE(open(at("folder/deep/file"), PathCheck::kOff).ok());
}

// In a sticky folder nobody can move or remove a folder of ours. A file or link of root's may have
// been moved or linked into it.
TEST_F(OpenPathTest, LeadsThroughAStickyFolderIntoAFolderAlone) {
    fs::create_directory(at("shared/mine"));
    makeFile("shared/mine/file");
    expectOpens(at("shared/mine/file"), "shared/mine/file");
    makeFile("shared/file");
    expectRefused(at("shared/file"), EACCES, at("shared/file"));
    fs::create_symlink(at("folder/deep/file"), at("shared/link"));
    expectRefused(at("shared/link"), EACCES, at("shared/link"));
    fs::create_directory_symlink(at("folder"), at("shared/to-folder"));
    expectRefused(at("shared/to-folder/deep/file"), EACCES, at("shared/to-folder"));
    fs::create_hard_link(at("folder/deep/file"), at("shared/hard"));
    expectRefused(at("shared/hard"), EACCES, at("shared/hard"));
    if (geteuid() != 0) return;
    ASSERT_EQ(chown(at("shared/mine").c_str(), 65534, 65534), 0);
    expectRefused(at("shared/mine/file"), EACCES, "65534");
}

TEST_F(OpenPathTest, FollowsLinksAndJudgesBothWays) {
    fs::create_symlink(at("folder/deep/file"), at("absolute"));
    fs::create_symlink("../folder/./deep/file", at("folder/relative"));
    fs::create_directory_symlink("folder/deep/", at("to-folder"));
    expectOpens(at("absolute"), "folder/deep/file");
    expectOpens(at("folder/relative"), "folder/deep/file");
    expectOpens(at("to-folder/file"), "folder/deep/file");
    expectOpens(at("to-folder"), "folder/deep");
    expectOpens(at("to-folder/file"), "folder/deep/file", LastLink::kRefuse);
    expectRefused(at("absolute"), ELOOP, "not a link", LastLink::kRefuse);
    EXPECT_EQ(open(at("absolute"), PathCheck::kOff, LastLink::kRefuse).error().code, ELOOP);
    mode("folder", 0775);
    expectRefused(at("absolute"), EACCES, at("folder"));
    expectRefused(at("to-folder/file"), EACCES, at("folder"));
    makeFile("shared/file");
    fs::create_symlink(at("shared/file"), at("to-shared"));
    expectRefused(at("to-shared"), EACCES, at("shared/file"));
}

TEST_F(OpenPathTest, SaysWhatIsNotThere) {
    expectRefused(at("none"), ENOENT, "No such file");
    expectRefused(at("none/file"), ENOENT, "No such file");
    expectRefused(at("folder/deep/file/below"), ENOTDIR, "Not a directory");
    expectRefused(at("folder/deep/file/"), ENOTDIR, "Not a directory");
    fs::create_symlink("none", at("dangling"));
    expectRefused(at("dangling"), ENOENT, "leads nowhere");
    fs::create_symlink("loop", at("loop"));
    expectRefused(at("loop"), ELOOP, "");
    expectRefused("", ENOENT, "");
}

// procfs' own links are doors to other places than they name.
TEST_F(OpenPathTest, RefusesDoorsOfProcfs) {
    const UniqueFd file(::open(at("folder/deep/file").c_str(), O_RDONLY));
    expectRefused(procPath(file.get()), ELOOP, "procfs");
    expectRefused("/proc/self/root" + at("folder/deep/file"), ELOOP, "procfs");
    EXPECT_TRUE(open(procPath(file.get()), PathCheck::kOff).ok());
    EXPECT_TRUE(open("/proc/self/status").ok());
}

// What was judged is what is opened: a folder is swapped for a link to another user's all the time.
TEST_F(OpenPathTest, LeavesNoGapBetweenLookAndUse) {
    fs::create_directory(at("evil"));
    makeFile("evil/file");
    mode("evil", 0777);
    fs::create_directory_symlink("folder/deep", at("a"));
    fs::create_directory_symlink("evil", at("b"));
    struct stat good;
    ASSERT_EQ(stat(at("folder/deep/file").c_str(), &good), 0);
    const int folder = ::open(root_.c_str(), O_PATH);
    const pid_t child = fork();
    if (child == 0) {
        while (true) renameat2(folder, "a", folder, "b", RENAME_EXCHANGE);
    }
    int opens = 0;
    for (int i = 0; i < 3000; ++i) {
        const auto opened = open(at("a/file"));
        if (!opened.ok()) {
            EXPECT_EQ(opened.error().code, EACCES);
            continue;
        }
        ++opens;
        struct stat got;
        ASSERT_EQ(fstat(opened.value().get(), &got), 0);
        EXPECT_EQ(got.st_ino, good.st_ino) << "attempt " << i;
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(folder);
    EXPECT_GT(opens, 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
