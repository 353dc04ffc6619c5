// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/process_fd.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

// How long a fork waits for a descriptor that is being opened or closed: a disk can hang.
constexpr time_t kForkWaits = 10;

// Nothing here has a destructor: it is used until the process ends or the library is unloaded. A
// fork holds the lock shared, who opens or closes alone.
pthread_rwlock_t order = PTHREAD_RWLOCK_INITIALIZER;
std::vector<int>* kept = nullptr;  // null: none
int standIn = -1;                  // with `kept`: what a child gets in place of each
thread_local bool forkHasOrder = false;

void beforeFork() {
    timespec limit;
    ::clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += kForkWaits;
    forkHasOrder = ::pthread_rwlock_clockrdlock(&order, CLOCK_MONOTONIC, &limit) == 0;
}

void afterForkInParent() {
    if (forkHasOrder) ::pthread_rwlock_unlock(&order);
}

void afterForkInChild() {
    // Else a thread that is no more was at work on them.
    if (forkHasOrder && kept != nullptr) {
        for (const int fd : *kept) ::dup3(standIn, fd, O_CLOEXEC);
        ::close(standIn);
        delete kept;
    }
    kept = nullptr;
    standIn = -1;
    order = PTHREAD_RWLOCK_INITIALIZER;
}

// The handlers go when the library goes that this code is in (pthread_atfork(3)).
void handleForks() {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ::pthread_once(&once,
                   [] { ::pthread_atfork(beforeFork, afterForkInParent, afterForkInChild); });
}

bool add(int fd) {
    if (kept == nullptr) {
        standIn = ::eventfd(0, EFD_CLOEXEC);
        if (standIn < 0) return false;
        try {
            kept = new std::vector<int>;
        } catch (const std::exception&) {
            ::close(std::exchange(standIn, -1));
            errno = ENOMEM;
            return false;
        }
    }
    try {
        kept->push_back(fd);
    } catch (const std::exception&) {
        errno = ENOMEM;
        return false;
    }
    return true;
}

}  // namespace

ProcessFd::NoFork::NoFork() {
    handleForks();
    ::pthread_rwlock_wrlock(&order);
}

ProcessFd::NoFork::~NoFork() {
    ::pthread_rwlock_unlock(&order);
}

int ProcessFd::NoFork::keep(int fd) const {
    if (fd < 0 || add(fd)) return fd;
    const int code = errno;
    ::close(fd);
    errno = code;
    return -1;
}

void ProcessFd::NoFork::close(int fd) const {
    if (kept != nullptr) {
        const auto found = std::find(kept->begin(), kept->end(), fd);
        if (found != kept->end()) kept->erase(found);
        if (kept->empty()) {
            delete std::exchange(kept, nullptr);
            ::close(std::exchange(standIn, -1));
        }
    }
    ::close(fd);
}

void ProcessFd::reset() {
    if (fd_ < 0) return;
    const NoFork noFork;
    noFork.close(std::exchange(fd_, -1));
}

}  // namespace mooncake::nvmeof_generic
