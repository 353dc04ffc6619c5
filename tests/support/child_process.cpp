// SPDX-License-Identifier: Apache-2.0
#include "child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace test_support {

using Clock = std::chrono::steady_clock;

ChildProcess::ChildProcess(std::vector<std::string> arguments, std::vector<std::string> environment,
                           const std::string& folder) {
    int ends[2] = {-1, -1};
    if (folder.empty()) {
        if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    } else {
        const std::string log = folder + "/log";
        ends[1] = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (ends[1] < 0) throw std::runtime_error("no file " + log);
    }
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        for (std::string& entry : environment) putenv(entry.data());
        if (folder.empty() || chdir(folder.c_str()) == 0) execvp(argv[0], argv.data());
        dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    pipe_ = ends[0];
    if (pid_ < 0) throw std::runtime_error("no child process");
}

ChildProcess::~ChildProcess() {
    if (!reaped_) {
        kill(pid_, SIGKILL);
        waitpid(pid_, &status_, 0);
    }
    if (pipe_ >= 0) close(pipe_);
}

bool ChildProcess::readMore(Clock::time_point limit) {
    if (pipe_ < 0) return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
    if (left.count() <= 0) return false;
    pollfd ready{pipe_, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(left.count())) <= 0) return Clock::now() < limit;
    char buffer[4096];
    const ssize_t got = read(pipe_, buffer, sizeof(buffer));
    if (got > 0) output_.append(buffer, static_cast<size_t>(got));
    return got > 0;
}

std::string ChildProcess::waitForLine(const std::string& text, std::chrono::seconds limit) {
    const auto end = Clock::now() + limit;
    do {
        const size_t found = output_.find(text);
        const size_t newline = found == std::string::npos ? found : output_.find('\n', found);
        if (newline != std::string::npos) {
            const size_t before = output_.rfind('\n', found);
            const size_t start = before == std::string::npos ? 0 : before + 1;
            return output_.substr(start, newline - start);
        }
    } while (readMore(end));
    return "";
}

void ChildProcess::signal(int number) {
    if (!reaped_) kill(pid_, number);
}

void ChildProcess::pause() {
    signal(SIGSTOP);
    int status = 0;
    if (waitpid(pid_, &status, WUNTRACED) == pid_ && !WIFSTOPPED(status)) {
        reaped_ = true;
        status_ = status;
    }
}

bool ChildProcess::running() {
    if (!reaped_ && waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
    return !reaped_;
}

int ChildProcess::wait(std::chrono::seconds limit) {
    const auto end = Clock::now() + limit;
    while (readMore(end)) {
    }
    while (!reaped_) {
        // The pipe is closed, or the time is up: what is left takes no time or is not waited for.
        if (!running()) break;
        if (Clock::now() >= end) return -1;
        poll(nullptr, 0, 5);
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

}  // namespace test_support
