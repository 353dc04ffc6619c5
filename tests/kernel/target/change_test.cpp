// SPDX-License-Identifier: Apache-2.0
// Case 6: files that are truncated, deleted or replaced while hosts use them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>

#include "file_pattern.h"
#include "kernel_fixture.h"
#include "remote_host.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::AlignedBuffer;
using test_support::comparePattern;
using test_support::fillPattern;

class ChangeTest : public KernelTargetTest {
 protected:
    ChangeTest() {
        options_.fileLost = [this](uint32_t nsid) {
            std::lock_guard guard(mutex_);
            lost_.insert(nsid);
            told_.notify_all();
        };
    }
    bool waitForLoss(uint32_t nsid) {
        std::unique_lock lock(mutex_);
        return told_.wait_for(lock, std::chrono::seconds(30), [&] { return lost_.contains(nsid); });
    }
    size_t losses() {
        std::lock_guard guard(mutex_);
        return lost_.size();
    }
    // A file that holds the pattern of that number.
    std::string patternFile(const std::string& name, uint64_t pattern) {
        const std::string path = dir_.path() + "/" + name;
        test_support::makeFile(path, kMiB);
        AlignedBuffer buffer(kMiB);
        fillPattern(pattern, 0, buffer.data(), kMiB);
        test_support::writeDirect(path, 0, buffer.data(), kMiB);
        return path;
    }

    std::mutex mutex_;
    std::condition_variable told_;
    std::set<uint32_t> lost_;
};

TEST_F(ChangeTest, EndsTheExportOfThatFileAlone) {
    const std::string neighbour = patternFile("neighbour", 7);
    auto target = start();
    ASSERT_TRUE(target->addFile(100, neighbour, kMiB).ok());
    RemoteHost host(kLoopback, target->subsystemNqn());
    UniqueFd next = host.open(100);
    AlignedBuffer buffer(4096);

    const std::pair<const char*, std::function<void(const std::string&)>> changes[] = {
        {"truncated", [](const auto& path) { std::filesystem::resize_file(path, kMiB / 2); }},
        {"emptied", [](const auto& path) { std::filesystem::resize_file(path, 0); }},
        {"extended", [](const auto& path) { std::filesystem::resize_file(path, 2 * kMiB); }},
        {"deleted", [](const auto& path) { std::filesystem::remove(path); }},
        {"replaced",
         [&](const auto& path) { std::filesystem::rename(patternFile("new", 8), path); }},
        {"moved", [](const auto& path) { std::filesystem::rename(path, path + ".old"); }}};
    uint32_t nsid = 0;
    for (const auto& [how, change] : changes) {
        for (const uint64_t size : {kMiB, kMiB / 4}) {  // the second through a loop device
            if (size != kMiB && std::string(how) != "emptied" && std::string(how) != "deleted") {
                continue;
            }
            SCOPED_TRACE(std::string(how) + " " + std::to_string(size));
            const std::string path = patternFile(how, 1);
            ASSERT_TRUE(target->addFile(++nsid, path, size).ok());
            UniqueFd device = host.open(nsid);
            ASSERT_EQ(pread(device.get(), buffer.data(), 4096, 8192), 4096);
            ASSERT_EQ(comparePattern(1, 8192, buffer.data(), 4096), "");

            change(path);
            ASSERT_TRUE(waitForLoss(nsid));
            EXPECT_FALSE(target->exports(nsid));
            const auto removed = target->removeFile(nsid);
            EXPECT_TRUE(removed.ok() || removed.error().code == ENOENT) << removed.error().message;
            // The device is there for as long as it is open, and serves nothing.
            EXPECT_LE(pread(device.get(), buffer.data(), 4096, 8192), 0);
            EXPECT_LT(pwrite(device.get(), buffer.data(), 4096, 8192), 0);
            std::filesystem::remove(path);

            ASSERT_EQ(pread(next.get(), buffer.data(), 4096, 4096), 4096);
            EXPECT_EQ(comparePattern(7, 4096, buffer.data(), 4096), "");
        }
    }
    EXPECT_EQ(losses(), nsid);
    EXPECT_TRUE(target->exports(100));
    EXPECT_TRUE(waitFor([&] { return loops().empty(); }));
}

// What remote hosts do to a file wakes nobody: neither reads nor writes, past the page cache or
// through it, nor through a loop device. (Discards do: they change the file's space.)
TEST_F(ChangeTest, IsNotWhatRemoteHostsDo) {
    const std::string whole = patternFile("whole", 1), part = patternFile("part", 2);
    auto target = start();
    ASSERT_TRUE(target->addFile(1, whole, kMiB).ok());
    ASSERT_TRUE(target->addFile(2, part, kMiB / 2).ok());
    UniqueFd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    for (const std::string& path : {whole, part}) {
        ASSERT_GE(inotify_add_watch(inotify.get(), path.c_str(), IN_MODIFY | IN_ATTRIB), 0);
    }
    RemoteHost host(kLoopback, target->subsystemNqn());
    AlignedBuffer buffer(65536);
    fillPattern(3, 0, buffer.data(), 65536);
    for (const uint32_t nsid : {1, 2}) {
        UniqueFd device = host.open(nsid);
        for (int i = 0; i < 100; ++i) {
            ASSERT_EQ(pwrite(device.get(), buffer.data(), 65536, 65536 * (i % 4)), 65536);
            ASSERT_EQ(pread(device.get(), buffer.data(), 65536, 65536 * (i % 4)), 65536);
        }
        ASSERT_EQ(fsync(device.get()), 0);
    }
    char event[256];
    EXPECT_EQ(read(inotify.get(), event, sizeof(event)), -1) << "no event";
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(losses(), 0u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
