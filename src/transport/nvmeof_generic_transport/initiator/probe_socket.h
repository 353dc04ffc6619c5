// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>

#include "path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "wait.h"

namespace mooncake::nvmeof_generic {

/// A TCP connection of which every wait has an end. For one thread.
class ProbeSocket {
 public:
    explicit ProbeSocket(const std::stop_token& stop);
    ~ProbeSocket();

    /// @param path  its target checked
    /// @return as connect(2); EADDRNOTAVAIL for an unknown interface, or an
    /// address that is not this host's; ETIMEDOUT, ECANCELED
    Result<> connect(const Path& path, Clock::time_point deadline);
    /// As long as it is on, a stop ends a wait a second later, and what comes until then counts.
    void endInOrder(bool on) { inOrder_ = on; }
    /// @return errno; ETIMEDOUT at the deadline, ECANCELED when stopped
    Result<> send(const uint8_t* data, size_t length, Clock::time_point deadline);
    /// Receives `length` bytes, neither more nor less.
    /// @return as send(); ECONNRESET also when the peer has closed the connection
    Result<> receive(uint8_t* data, size_t length, Clock::time_point deadline);

 private:
    class Stop;
    Result<> wait(short events, Clock::time_point deadline) const;

    const std::unique_ptr<Stop> stop_;
    UniqueFd fd_;
    bool inOrder_ = false;
};

}  // namespace mooncake::nvmeof_generic
