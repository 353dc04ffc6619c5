// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

/// A child of this process, forked and nothing else. Killed and reaped with the object.
class ForkedChild {
 public:
    /// @param work  what it does; it says with say() that it has, and ends with what it returns
    /// @param pastTheLibrary  without fork(3): the C library knows nothing of it
    using Say = std::function<void(const std::string& line)>;
    explicit ForkedChild(const std::function<int(const Say&)>& work, bool pastTheLibrary = false) {
        int ends[2];
        EXPECT_EQ(pipe(ends), 0);
        pid_ =
            pastTheLibrary ? static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) : fork();
        if (pid_ == 0) {
            close(ends[0]);
            _exit(work([&](const std::string& line) {
                const std::string text = line + "\n";
                if (write(ends[1], text.data(), text.size()) < 0) _exit(99);
            }));
        }
        close(ends[1]);
        from_ = ends[0];
    }
    ~ForkedChild() {
        kill();
        close(from_);
    }
    ForkedChild(const ForkedChild&) = delete;
    ForkedChild& operator=(const ForkedChild&) = delete;

    pid_t pid() const { return pid_; }

    /// The next line that it says; "" when it ends without one.
    std::string line() {
        std::string text;
        char c;
        while (read(from_, &c, 1) == 1 && c != '\n') text += c;
        return text;
    }

    void kill() {
        if (reaped_) return;
        ::kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        reaped_ = true;
    }

    /// @return its exit status, 128 + the signal's number, or -1 when it does not end
    int wait() {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        int status = -1;
        while (waitpid(pid_, &status, WNOHANG) == 0) {
            if (std::chrono::steady_clock::now() > limit) return -1;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        reaped_ = true;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

 private:
    pid_t pid_ = -1;
    int from_ = -1;
    bool reaped_ = false;
};

/// For the end of a child's work: it stays until it is killed.
[[noreturn]] inline void stay() {
    while (true) pause();
}
