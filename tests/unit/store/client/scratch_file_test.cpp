// SPDX-License-Identifier: Apache-2.0
#include "scratch_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "nodes.h"

namespace mooncake::store {
namespace {

// Others remove what nobody has locked, which a new file is for a moment: whoever made one has one
// that is there, and stays.
TEST(ScratchFileTest, NobodyGetsOneThatAnotherHasRemoved) {
    const mooncake::test::Folder folder;
    std::atomic<bool> stop{false};
    std::atomic<int> removed{0};
    std::vector<std::thread> others;
    for (int i = 0; i < 2; ++i) {
        others.emplace_back([&] {
            std::error_code ignored;
            while (!stop) {
                for (const auto& file :
                     std::filesystem::directory_iterator(folder.path(), ignored)) {
                    const int fd = ::open(file.path().c_str(), O_RDWR | O_CLOEXEC);
                    if (fd < 0) continue;
                    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && ::unlink(file.path().c_str()) == 0) {
                        ++removed;
                    }
                    ::close(fd);
                }
            }
        });
    }
    int made = 0;
    const auto limit = std::chrono::steady_clock::now() + mooncake::test::kForever;
    while (removed < 200 && std::chrono::steady_clock::now() < limit) {
        const auto scratch = makeScratchFile(folder.path(), 1 << 20);
        ASSERT_TRUE(scratch) << scratch.error().message;
        ASSERT_TRUE(std::filesystem::exists(scratch->path)) << "after " << made << " that were";
        ASSERT_EQ(std::filesystem::file_size(scratch->path), size_t{1} << 20);
        ::unlink(scratch->path.c_str());
        ++made;
    }
    stop = true;
    for (auto& other : others) other.join();
    EXPECT_GT(removed, 0) << "nothing was tried";
}

}  // namespace
}  // namespace mooncake::store
