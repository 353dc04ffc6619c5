// SPDX-License-Identifier: Apache-2.0
// Case 6: files that change while they are exported.
#include "file_watcher.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "temp_dir.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSize = 8192;

class FileWatcherTest : public testing::Test {
 protected:
    std::string at(const std::string& name) { return dir_.path() + "/" + name; }

    FileExpectation expectationOf(const std::string& path, bool exactSize = true) {
        struct stat status;
        EXPECT_EQ(stat(path.c_str(), &status), 0);
        return {path, {false, status.st_dev, status.st_ino}, kSize, exactSize};
    }
    std::string watch(uint32_t nsid, const std::string& name, bool exactSize = true) {
        const std::string path = dir_.file(name, kSize);
        const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        const auto watched = watcher_.watch(nsid, file.get(), expectationOf(path, exactSize));
        EXPECT_TRUE(watched.ok()) << watched.error().message;
        return path;
    }
    // What was said of the file, or "" when nothing was within the limit.
    std::string waitForChange(uint32_t nsid) {
        std::unique_lock lock(mutex_);
        said_.wait_for(lock, std::chrono::seconds(30), [&] { return changes_.contains(nsid); });
        return changes_.contains(nsid) ? changes_.at(nsid) : "";
    }
    // Events come in order: when this one has been seen, those before it have, too.
    void letEventsPass(uint32_t nsid) {
        std::filesystem::remove(watch(nsid, "probe" + std::to_string(nsid)));
        EXPECT_NE(waitForChange(nsid), "");
    }
    size_t changes() {
        std::lock_guard guard(mutex_);
        return changes_.size();
    }
    void letGo() {
        std::lock_guard guard(mutex_);
        held_ = false;
        said_.notify_all();
    }
    ~FileWatcherTest() override { letGo(); }

    // The watcher is held where it tells of this file, until letGo().
    static constexpr uint32_t kHeld = 99;

    TempDir dir_;
    std::mutex mutex_;
    std::condition_variable said_;
    std::map<uint32_t, std::string> changes_;
    bool held_ = true;
    FileWatcher watcher_{[this](uint32_t nsid, const std::string& what) {
        std::unique_lock lock(mutex_);
        EXPECT_FALSE(changes_.contains(nsid)) << "told twice";
        changes_[nsid] = what;
        said_.notify_all();
        if (nsid == kHeld) said_.wait(lock, [this] { return !held_; });
    }};
};

TEST_F(FileWatcherTest, NoticesATruncation) {
    const std::string path = watch(1, "file");
    watch(2, "neighbour");
    std::filesystem::resize_file(path, 4096);
    EXPECT_EQ(waitForChange(1), "its size changed from 8192 to 4096 bytes");
    EXPECT_EQ(changes(), 1u);
}

TEST_F(FileWatcherTest, NoticesADeletion) {
    const std::string path = watch(1, "file");
    std::filesystem::remove(path);
    EXPECT_THAT(waitForChange(1), HasSubstr("deleted"));
}

// Also when somebody holds it open, so that the inode stays.
TEST_F(FileWatcherTest, NoticesADeletionOfAnOpenFile) {
    const std::string path = watch(1, "file");
    const UniqueFd open(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    std::filesystem::remove(path);
    EXPECT_THAT(waitForChange(1), HasSubstr("deleted"));
}

TEST_F(FileWatcherTest, NoticesAReplacement) {
    const std::string path = watch(1, "file");
    const UniqueFd open(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    std::filesystem::rename(dir_.file("new", kSize), path);
    EXPECT_THAT(waitForChange(1), HasSubstr("replaced"));
}

TEST_F(FileWatcherTest, NoticesThatItWasMovedAway) {
    const std::string path = watch(1, "file");
    std::filesystem::rename(path, at("elsewhere"));
    EXPECT_THAT(waitForChange(1), HasSubstr("renamed"));
}

// A remote host would be shown the larger size.
TEST_F(FileWatcherTest, NoticesGrowthWhereTheSizeIsExact) {
    const std::string whole = watch(1, "whole"), part = watch(2, "part", false);
    std::filesystem::resize_file(part, 2 * kSize);
    std::filesystem::resize_file(whole, 2 * kSize);
    EXPECT_EQ(waitForChange(1), "its size changed from 8192 to 16384 bytes");
    letEventsPass(3);
    std::filesystem::resize_file(part, kSize - 1);
    EXPECT_EQ(waitForChange(2), "its size changed from 8192 to 8191 bytes");
}

TEST_F(FileWatcherTest, IgnoresWhatChangesNothing) {
    const std::string path = watch(1, "file");
    ASSERT_EQ(chmod(path.c_str(), 0640), 0);
    std::filesystem::create_hard_link(path, at("hard"));
    std::filesystem::remove(at("hard"));
    {
        std::fstream file(path);
        for (int i = 0; i < 10000; ++i) file.seekp(i % 4096).put('y').flush();
    }
    letEventsPass(2);
    EXPECT_EQ(changes(), 1u);
}

TEST_F(FileWatcherTest, ForgetsAFile) {
    const std::string path = watch(1, "file");
    watcher_.forget(1);
    watcher_.forget(1);
    std::filesystem::remove(path);
    letEventsPass(2);
    EXPECT_EQ(changes(), 1u);
}

// A queue that overflows loses events, but no change.
TEST_F(FileWatcherTest, SurvivesAFloodOfEvents) {
    const std::string a = watch(1, "a"), b = watch(2, "b"), c = watch(3, "c");
    const UniqueFd fileA(::open(a.c_str(), O_RDWR)), fileB(::open(b.c_str(), O_RDWR));
    int room = 0;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> room;
    ASSERT_GT(room, 0);
    std::filesystem::remove(watch(kHeld, "gate"));
    ASSERT_NE(waitForChange(kHeld), "") << "from now on nobody empties the queue";
    for (int i = 0; i <= room / 2; ++i) {  // alternately: like events would be merged
        ASSERT_EQ(pwrite(fileA.get(), "x", 1, 0), 1);
        ASSERT_EQ(pwrite(fileB.get(), "x", 1, 0), 1);
    }
    std::filesystem::resize_file(c, 1);
    letGo();
    EXPECT_NE(waitForChange(3), "");
    EXPECT_EQ(changes(), 2u);
}

TEST_F(FileWatcherTest, SaysNothingAfterItsStop) {
    const std::string path = watch(1, "file");
    watcher_.stop();
    std::filesystem::remove(path);
    watcher_.stop();
    EXPECT_EQ(changes(), 0u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
