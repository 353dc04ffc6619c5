// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace test_support {

/// A program that a test runs beside itself. Killed and reaped with the object.
class ChildProcess {
 public:
    /// @param arguments  the program, looked up in PATH, and its arguments
    /// @param environment  "NAME=value" entries, added to this process's
    /// @param folder  where it works; its output then goes to the file "log" there, and neither
    ///     waitForLine() nor output() has any of it
    explicit ChildProcess(std::vector<std::string> arguments,
                          std::vector<std::string> environment = {},
                          const std::string& folder = "");
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    pid_t pid() const { return pid_; }

    /// Waits for a line of standard output or standard error that contains `text`.
    /// @return that line, or "" when the time is up or the program has ended without it
    std::string waitForLine(const std::string& text,
                            std::chrono::seconds limit = std::chrono::seconds(60));

    void signal(int number);

    /// Stops it, and returns when all its threads stand still, which is later than the signal.
    /// SIGCONT lets it go on.
    void pause();

    bool running();

    /// Waits for the end.
    /// @return the exit status, 128 + the signal's number, or -1 when the time is up
    int wait(std::chrono::seconds limit = std::chrono::seconds(60));

    /// Everything it has printed so far.
    const std::string& output() const { return output_; }

 private:
    bool readMore(std::chrono::steady_clock::time_point limit);

    pid_t pid_ = -1;
    int pipe_ = -1;
    bool reaped_ = false;
    int status_ = -1;
    std::string output_;
};

}  // namespace test_support
