// SPDX-License-Identifier: Apache-2.0
#include "scratch_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>

#include "nodes.h"

namespace mooncake::store {
namespace {

// Others remove what nobody has locked, which a new file is for a moment: whoever made one has one
// that is there, and stays.
TEST(ScratchFileTest, NobodyGetsOneThatAnotherHasRemoved) {
    const mooncake::test::Folder folder;
    std::atomic<bool> stop{false};
    std::atomic<int> removed{0};
    std::vector<std::future<void>> others;
    for (int i = 0; i < 2; ++i) {
        others.push_back(std::async(std::launch::async, [&] {
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
        }));
    }
    const auto limit = std::chrono::steady_clock::now() + mooncake::test::kForever;
    while (removed < 60 && std::chrono::steady_clock::now() < limit && !HasFailure()) {
        const auto scratch = makeScratchFile(folder.path(), 1 << 20);
        EXPECT_TRUE(scratch) << scratch.error().message;
        if (!scratch) break;
        EXPECT_TRUE(std::filesystem::exists(scratch->path)) << "after " << removed << " removals";
        ::unlink(scratch->path.c_str());
    }
    stop = true;
    for (auto& other : others) other.get();
    EXPECT_GT(removed, 0) << "nothing was tried";
}

}  // namespace
}  // namespace mooncake::store
