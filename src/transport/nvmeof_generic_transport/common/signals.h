// SPDX-License-Identifier: Apache-2.0
// Signals that must not reach threads in the kernel's NVMe/TCP driver.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <ctime>

namespace mooncake::nvmeof_generic {

/// Keeps SIGPIPE from the calling thread while the object exists. The kernel's NVMe/TCP driver may
/// send on the thread that submits I/O or connects, and then raises SIGPIPE there when the target
/// has closed the connection ("failed to send request -32" in the log of Linux 6.12): without this,
/// a target that goes would end the process. For one thread and scope. A program that ignores
/// SIGPIPE, as servers do, saves two of the three system calls that this takes.
class NoBrokenPipe {
 public:
    /// @param needed  false where the program ignores the signal
    explicit NoBrokenPipe(bool needed = isNeeded()) : needed_(needed) {
        if (!needed_) return;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
        // One that the program has blocked and not yet taken is the program's own.
        sigset_t pending;
        leave_ = sigismember(&before_, SIGPIPE) == 1 && sigpending(&pending) == 0 &&
                 sigismember(&pending, SIGPIPE) == 1;
    }
    ~NoBrokenPipe() {
        if (!needed_) return;
        constexpr timespec kNow{0, 0};
        if (!leave_) sigtimedwait(&pipe_, nullptr, &kNow);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoBrokenPipe(const NoBrokenPipe&) = delete;
    NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

    /// Whether the program does not ignore the signal just now; a system call.
    static bool isNeeded() {
        struct sigaction handling;
        return sigaction(SIGPIPE, nullptr, &handling) != 0 || handling.sa_handler != SIG_IGN;
    }

 private:
    const bool needed_;
    sigset_t pipe_;
    sigset_t before_;
    bool leave_ = false;
};

}  // namespace mooncake::nvmeof_generic
