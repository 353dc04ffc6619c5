// SPDX-License-Identifier: Apache-2.0
// A connection whose other side cannot hold it for ever: the library itself limits each wait for a
// byte, not how often there is one.
#pragma once

#include <httplib.h>

#include <array>
#include <chrono>
#include <string>

namespace mooncake {

class DeadlineStream : public httplib::Stream {
 public:
    using Clock = std::chrono::steady_clock;

    // `fd` is the caller's, and non-blocking calls are made on it. `idle` is the longest wait for a
    // byte to come or to go.
    DeadlineStream(int fd, std::chrono::milliseconds idle) : fd_(fd), idle_(idle) {}

    // All that is read from now on has to come within that time. What is written has `idle` more.
    void allow(std::chrono::milliseconds time) { deadline_ = Clock::now() + time; }

    bool timeIsOver() const { return Clock::now() >= deadline_; }

    // Whether a byte is there, or comes within that time. Also true when the other side has closed.
    bool waitForRequest(std::chrono::milliseconds time) const;

    bool is_readable() const override;
    bool is_writable() const override;
    // Bytes, 0 at the end of the connection, -1 after an error or when the time is over.
    ssize_t read(char* data, size_t size) override;
    ssize_t write(const char* data, size_t size) override;
    void get_remote_ip_and_port(std::string& ip, int& port) const override;
    void get_local_ip_and_port(std::string& ip, int& port) const override;
    socket_t socket() const override { return fd_; }

 private:
    bool waitFor(short event, Clock::time_point limit) const;

    const int fd_;
    const std::chrono::milliseconds idle_;
    Clock::time_point deadline_;
    std::array<char, 4096> buffer_;
    size_t begin_ = 0;  // of what is in the buffer and not read yet
    size_t end_ = 0;
};

}  // namespace mooncake
