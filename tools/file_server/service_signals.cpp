// SPDX-License-Identifier: Apache-2.0
#include "service_signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace mooncake::file_server {

ServiceSignals::ServiceSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&signals, number);
    if (const int error = pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
        throw std::system_error(error, std::generic_category(), "pthread_sigmask");
    }
    fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
}

ServiceSignals::~ServiceSignals() {
    close(fd_);
}

bool ServiceSignals::stopRequested() const {
    // Blocked signals stay pending until they are read.
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

ServiceSignals::Request ServiceSignals::wait(int control) {
    while (true) {
        if (stopRequested()) return Request::kStop;
        signalfd_siginfo info;
        if (read(fd_, &info, sizeof(info)) == sizeof(info)) {
            return info.ssi_signo == SIGHUP && !stopRequested() ? Request::kReload : Request::kStop;
        }
        pollfd entries[] = {{fd_, POLLIN, 0}, {control, POLLIN, 0}};
        (void)poll(entries, 2, -1);
        if (entries[0].revents == 0 && entries[1].revents != 0) return Request::kControl;
    }
}

}  // namespace mooncake::file_server
