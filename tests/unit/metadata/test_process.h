// SPDX-License-Identifier: Apache-2.0
// A program that a test starts, and that ends with it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace mooncake::test {

class TestProcess {
 public:
    // With a `folder`, it works there and its output goes to the file "log" in it; else the output
    // is for readLine.
    explicit TestProcess(const std::string& program, std::vector<std::string> arguments,
                         const std::string& folder = "") {
        const std::string log = folder + "/log";
        std::array<int, 2> in = {};
        std::array<int, 2> out = {-1, -1};
        EXPECT_EQ(pipe2(in.data(), O_CLOEXEC), 0);
        if (folder.empty()) {
            EXPECT_EQ(pipe2(out.data(), O_CLOEXEC), 0);
        } else {
            out[1] = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            EXPECT_GE(out[1], 0) << log;
        }
        arguments.insert(arguments.begin(), program);
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(in[0], STDIN_FILENO);
            dup2(out[1], STDOUT_FILENO);
            dup2(out[1], STDERR_FILENO);
            if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(127);
            execvp(argv[0], argv.data());
            dprintf(STDERR_FILENO,
                    "%s: %s; \"scripts/install_deps.sh servers\" installs what these tests start\n",
                    argv[0], strerror(errno));
            _exit(127);
        }
        close(in[0]);
        close(out[1]);
        input_ = in[1];
        output_ = out[0];
    }
    ~TestProcess() {
        if (pid_ > 0) end(SIGKILL);
        if (input_ >= 0) close(input_);
        if (output_ >= 0) close(output_);
    }
    TestProcess(const TestProcess&) = delete;
    TestProcess& operator=(const TestProcess&) = delete;

    // The next line that it prints, empty at the end of its output.
    std::string readLine() {
        std::string line;
        char c = 0;
        pollfd ready = {output_, POLLIN, 0};
        while (poll(&ready, 1, 60000) == 1 && read(output_, &c, 1) == 1 && c != '\n') line += c;
        return line;
    }
    // Lines up to the one that begins with `prefix`, which is returned; empty at the end.
    std::string readLineWith(const std::string& prefix) {
        std::string line = readLine();
        while (!line.empty() && !line.starts_with(prefix)) line = readLine();
        return line;
    }
    void closeInput() {
        close(input_);
        input_ = -1;
    }

    void signal(int number) const { kill(pid_, number); }
    // Returns when all its threads stand still, which is later than the signal.
    void pause() const {
        kill(pid_, SIGSTOP);
        int status = 0;
        EXPECT_EQ(waitpid(pid_, &status, WUNTRACED), pid_);
        EXPECT_TRUE(WIFSTOPPED(status));
    }
    bool running() {
        if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
        return pid_ > 0;
    }
    // Its exit status, or -1 where a signal ended it.
    int end(int number) {
        if (number != 0) kill(pid_, number);
        int status = 0;
        EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

 private:
    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
};

}  // namespace mooncake::test
