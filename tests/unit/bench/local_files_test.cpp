// SPDX-License-Identifier: Apache-2.0
#include "bench/local_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace mooncake::bench {
namespace {

using ::testing::HasSubstr;

class LocalFiles : public ::testing::Test {
 protected:
    void SetUp() override {
        char name[] = "/tmp/bench_files_XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }
    std::string makeFile(const std::string& name, uint64_t size) {
        std::ofstream(path(name)).close();
        std::filesystem::resize_file(path(name), size);
        return path(name);
    }
    // Case 10: each is refused, by name and with its cause.
    void expectRefused(const std::string& bad, const std::string& why) {
        std::vector<LocalFile> files;
        const MaybeFailure failure = inspectFiles({makeFile("good", 4096), bad}, files);
        ASSERT_TRUE(failure.has_value()) << bad;
        EXPECT_EQ(failure->code, ExitCode::kUsage);
        EXPECT_THAT(failure->message, HasSubstr("'" + bad + "'"));
        EXPECT_THAT(failure->message, HasSubstr(why));
    }

    std::string folder_;
};

TEST_F(LocalFiles, RegularFilesWithTheirSizes) {
    std::vector<LocalFile> files;
    ASSERT_FALSE(inspectFiles({makeFile("a", 4097), makeFile("b", 1)}, files).has_value());
    ASSERT_EQ(files.size(), 2u);
    EXPECT_EQ(files[0].path, path("a"));
    EXPECT_EQ(files[0].size, 4097u);
    EXPECT_EQ(files[1].size, 1u);
}

TEST_F(LocalFiles, Missing) {
    expectRefused(path("none"), "No such file");
}

TEST_F(LocalFiles, Empty) {
    expectRefused(makeFile("empty", 0), "fallocate");
}

TEST_F(LocalFiles, Folder) {
    expectRefused(folder_, "neither a regular file nor a block device");
}

TEST_F(LocalFiles, CharacterDevice) {
    expectRefused("/dev/null", "neither");
}

TEST_F(LocalFiles, Fifo) {
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    expectRefused(path("fifo"), "neither");
}

TEST_F(LocalFiles, DanglingLink) {
    std::filesystem::create_symlink(path("none"), path("link"));
    expectRefused(path("link"), "No such file");
}

}  // namespace
}  // namespace mooncake::bench
