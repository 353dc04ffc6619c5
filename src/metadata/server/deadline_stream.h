// SPDX-License-Identifier: Apache-2.0
// A connection whose other side cannot hold it for ever: the library itself limits each wait for a
// byte, not how often there is one.
#pragma once

#include <httplib.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "tls_context.h"

namespace mooncake {

class DeadlineStream : public httplib::Stream {
 public:
    using Clock = std::chrono::steady_clock;
    // Called for bytes that have come, with their number; false ends the connection.
    using Receipt = std::function<bool(size_t)>;

    // `fd` is the caller's, and non-blocking calls are made on it. `idle` is the longest wait for a
    // byte to come or to go.
    DeadlineStream(int fd, std::chrono::milliseconds idle, Receipt receipt)
        : fd_(fd), idle_(idle), receipt_(std::move(receipt)) {}

    // All that is read from now on has to come within that time, and has at most so many bytes.
    // What is written has `idle` more.
    void allow(std::chrono::milliseconds time, size_t bytes) {
        deadline_ = Clock::now() + time;
        bytes_left_ = bytes;
    }

    // Goes on with TLS, within the time that is allowed. False where the other side does not.
    bool startTls(const TlsContext& context);

    // Whether that has been too little, of one or the other.
    bool isOver() const { return too_much_ || Clock::now() >= deadline_; }

    // Whether a byte is there, or comes within that time. Also true when the other side has closed.
    bool waitForRequest(std::chrono::milliseconds time) const;

    // Tells the other side that nothing more comes.
    void end();

    bool is_readable() const override;
    bool is_writable() const override;
    // Bytes, 0 at the end of the connection, -1 after an error or when the time is over.
    ssize_t read(char* data, size_t size) override;
    ssize_t write(const char* data, size_t size) override;
    void get_remote_ip_and_port(std::string& ip, int& port) const override;
    void get_local_ip_and_port(std::string& ip, int& port) const override;
    socket_t socket() const override { return fd_; }

 private:
    struct SslDeleter {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };

    bool waitFor(short event, Clock::time_point limit) const;
    // Calls one of OpenSSL's functions until it has done something.
    template <typename Call>
    int patiently(const Call& call, const std::function<Clock::time_point()>& limit);
    Clock::time_point readLimit() const;
    Clock::time_point writeLimit() const;
    ssize_t receive();

    const int fd_;
    const std::chrono::milliseconds idle_;
    const Receipt receipt_;
    Clock::time_point deadline_;
    size_t bytes_left_ = 0;
    bool too_much_ = false;
    std::unique_ptr<SSL, SslDeleter> ssl_;
    std::array<char, 16384> buffer_;
    size_t begin_ = 0;  // of what is in the buffer and not read yet
    size_t end_ = 0;
};

}  // namespace mooncake
