// SPDX-License-Identifier: Apache-2.0
// SIGINT and SIGTERM as something that can be waited for.
#pragma once

namespace mooncake::bench {

/// Make one in main before any thread starts: threads inherit that the signals are blocked.
class SignalWatch {
 public:
    /// Blocks both signals for this thread and those it starts. Throws std::system_error.
    SignalWatch();
    ~SignalWatch();
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;

    /// Readable when a signal has come; -1 after take().
    int fd() const { return fd_; }

    /// Waits for a signal.
    void wait();

    /// Takes the signal that has come. Another one then ends the process at once, in case that what
    /// the first one asked for does not come to an end.
    void take();

 private:
    int fd_;
};

}  // namespace mooncake::bench
