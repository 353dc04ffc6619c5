// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mooncake::nvmeof_generic {

/// Lets a thread use OpenSSL while it is there. OpenSSL frees what it has in a handler of exit()
/// (OPENSSL_cleanup()), also under threads that compute, and its locks, held by one during a
/// fork(), stay locked in the child, whose exit() then hangs. So exit() and fork() wait until
/// nobody is inside, some milliseconds, and nobody comes in once exit() has begun. Thread-safe; one
/// at a time for each thread.
class OpensslGate {
 public:
    OpensslGate();
    ~OpensslGate();
    OpensslGate(const OpensslGate&) = delete;
    OpensslGate& operator=(const OpensslGate&) = delete;

    /// Whether OpenSSL may be used until this object ends; false: the process ends.
    bool isOpen() const { return open_; }

 private:
    bool open_;
};

}  // namespace mooncake::nvmeof_generic
