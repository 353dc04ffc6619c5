// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/process_fd.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "transport/nvmeof_generic_transport/common/this_process.h"

namespace mooncake::nvmeof_generic {
namespace {

// What a forked child finds. @return its exit status
int inChild(const std::function<int()>& work) {
    const pid_t child = fork();
    if (child == 0) _exit(work());
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int openRoot() {
    return ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool isFolder(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

// Descriptors of this process.
size_t countOpen() {
    size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(ProcessFd, AChildFindsAnotherFileInItsPlace) {
    ProcessFd fd = ProcessFd::open(openRoot);
    ASSERT_TRUE(fd.valid());
    EXPECT_EQ(inChild([&] {
                  if (isFolder(fd.get())) return 1;
                  if (fcntl(fd.get(), F_GETFD) != FD_CLOEXEC) return 2;
                  fd.reset();
                  // What else takes the number is not closed with it.
                  return fcntl(fd.get(), F_GETFD) < 0 ? 0 : 3;
              }),
              0);
    EXPECT_TRUE(isFolder(fd.get()));
}

TEST(ProcessFd, ClosesAndLeavesNothing) {
    const size_t before = countOpen();
    {
        ProcessFd a = ProcessFd::open(openRoot), b = ProcessFd::open(openRoot);
        ProcessFd moved = std::move(a);
        EXPECT_FALSE(a.valid());
        EXPECT_TRUE(isFolder(moved.get()));
        b = std::move(moved);
        EXPECT_TRUE(isFolder(b.get()));
    }
    EXPECT_EQ(countOpen(), before);
}

TEST(ProcessFd, KeepsTheErrorOfOne) {
    const ProcessFd none = ProcessFd::open([] { return ::open("/nowhere/at/all", O_RDONLY); });
    EXPECT_EQ(errno, ENOENT);
    EXPECT_FALSE(none.valid());
}

TEST(ProcessFd, AChildOpensItsOwn) {
    ProcessFd fd = ProcessFd::open(openRoot);
    EXPECT_EQ(inChild([&] {
                  ProcessFd own = ProcessFd::open(openRoot);
                  if (!isFolder(own.get())) return 1;
                  return inChild([&] { return isFolder(own.get()) ? 1 : 0; }) == 0 ? 0 : 2;
              }),
              0);
}

// A lock is free when its owner has let go of it, whatever children were forked meanwhile.
TEST(ProcessFd, NoForkFallsBetweenOpeningAndKeeping) {
    char path[] = "/tmp/process_fd_test.XXXXXX";
    ASSERT_EQ(::close(::mkstemp(path)), 0);
    std::atomic<bool> stop = false;
    std::vector<pid_t> children;
    std::thread forker([&] {
        while (!stop && children.size() < 400) {
            const pid_t child = fork();
            if (child == 0) {
                while (true) pause();
            }
            children.push_back(child);
        }
        stop = true;
    });
    int turns = 0;
    while (!stop) {
        ProcessFd lock = ProcessFd::open([&] { return ::open(path, O_RDWR | O_CLOEXEC); });
        ASSERT_TRUE(lock.valid());
        // A newborn child may still have the one before, for as long as it takes to let go of it.
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        int code = -1;
        while ((code = flock(lock.get(), LOCK_EX | LOCK_NB)) != 0 &&
               std::chrono::steady_clock::now() < limit) {
            std::this_thread::yield();
        }
        ASSERT_EQ(code, 0) << "a child keeps it, turn " << turns;
        ++turns;
    }
    forker.join();
    for (const pid_t child : children) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    unlink(path);
    EXPECT_GT(turns, 10);
}

TEST(ThisProcess, IsAnotherOneInEachChild) {
    const MadeHere made;
    const uint64_t here = thisProcess();
    EXPECT_NE(here, 0u);
    EXPECT_EQ(thisProcess(), here);
    EXPECT_TRUE(made.here());
    EXPECT_EQ(inChild([&] {
                  if (made.here()) return 1;
                  const MadeHere childs;
                  const uint64_t child = thisProcess();
                  if (!childs.here() || child == here) return 2;
                  return inChild([&] {
                      return childs.here() || made.here() || thisProcess() == child ? 1 : 0;
                  });
              }),
              0);
    EXPECT_TRUE(made.here());
}

// As a sandbox or a snapshot forks: the C library is not asked.
TEST(ThisProcess, NoticesAForkPastTheLibrary) {
    const MadeHere made;
    const pid_t child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    if (child == 0) _exit(made.here() ? 1 : 0);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(ThisProcess, IsOneForAllThreads) {
    EXPECT_EQ(inChild([] {
                  std::vector<uint64_t> seen(16);
                  std::vector<std::thread> threads;
                  for (uint64_t& one : seen) threads.emplace_back([&] { one = thisProcess(); });
                  for (std::thread& thread : threads) thread.join();
                  for (const uint64_t one : seen) {
                      if (one != seen[0]) return 1;
                  }
                  return 0;
              }),
              0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
