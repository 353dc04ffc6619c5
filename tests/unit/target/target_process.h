// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>
#include <string>

namespace mooncake::nvmeof_generic {

/// A process with a target of its own.
class TargetProcess {
 public:
    /// @param run  in the child: starts what it needs and returns the subsystem's NQN
    explicit TargetProcess(const std::function<std::string()>& run) {
        int ends[2];
        if (pipe(ends) != 0) throw std::runtime_error("pipe");
        pid_ = fork();
        if (pid_ == 0) {
            const std::string nqn = run() + "\n";
            if (write(ends[1], nqn.data(), nqn.size()) < 0) _exit(1);
            while (true) pause();
        }
        close(ends[1]);
        char c;
        while (read(ends[0], &c, 1) == 1 && c != '\n') nqn_ += c;
        close(ends[0]);
    }
    ~TargetProcess() { kill(); }

    void kill() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    const std::string& nqn() const { return nqn_; }

 private:
    pid_t pid_ = -1;
    std::string nqn_;
};

}  // namespace mooncake::nvmeof_generic
