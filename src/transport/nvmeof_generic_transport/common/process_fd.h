// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace mooncake::nvmeof_generic {

/// Owns one file descriptor, or none, that forked children do not have: a lock, a claim or a
/// listener that hangs on it ends with this process. A child finds a descriptor of the same number
/// in its place that has nothing to do with it, so that copies of objects may close it there. What
/// escapes is clone(2) past the C library. One object is not to be changed by two threads at once.
class ProcessFd {
 public:
    ProcessFd() = default;
    ProcessFd(ProcessFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ProcessFd& operator=(ProcessFd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ProcessFd(const ProcessFd&) = delete;
    ProcessFd& operator=(const ProcessFd&) = delete;
    ~ProcessFd() { reset(); }

    /// @param open  int(): gives a new descriptor or -1 with errno, and should do so at once: a
    /// fork
    ///     waits for it, though not for ever
    /// @return none, and errno as `open` left it, where there is no descriptor
    template <class Open>
    static ProcessFd open(const Open& open) {
        const NoFork noFork;
        return ProcessFd(noFork.keep(open()));
    }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    void reset();

 private:
    /// While it exists no thread forks.
    class NoFork {
     public:
        NoFork();
        ~NoFork();
        NoFork(const NoFork&) = delete;
        NoFork& operator=(const NoFork&) = delete;
        int keep(int fd) const;
        void close(int fd) const;
    };

    explicit ProcessFd(int fd) : fd_(fd) {}

    int fd_ = -1;
};

}  // namespace mooncake::nvmeof_generic
