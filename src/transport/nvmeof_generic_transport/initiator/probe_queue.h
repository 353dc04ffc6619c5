// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "nvme_wire.h"
#include "probe_socket.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// The admin queue of a probe, of which nothing is taken on trust: every length, offset and id is
/// compared with what was asked for before a byte is kept. One command at a time; for one thread.
class ProbeQueue {
 public:
    /// One command's answer.
    struct Answer {
        uint64_t result = 0;
        uint16_t status = 0;
        wire::Bytes data;
    };
    enum class Data { kWhole, kUpTo };

    /// @param socket  connected; outlives this object
    /// @param deadline  for all that is asked
    ProbeQueue(ProbeSocket& socket, Clock::time_point deadline)
        : socket_(socket), deadline_(deadline) {}

    /// Agrees on NVMe/TCP.
    Result<> initialize();

    uint16_t nextId() const { return id_; }

    /// Sends a command and awaits its answer.
    /// @param step  what it is, for messages; a literal
    /// @param capsule  with nextId()
    /// @param bytes  of data in the answer
    /// @param data  whether a successful answer has all of them, or that many at most
    /// @return ETIMEDOUT at the deadline, EPROTO for what is no answer to it, ECONNRESET,
    /// ECANCELED; whatever status the target gives is an answer
    Result<Answer> run(const char* step, const wire::Bytes& capsule, uint32_t bytes = 0,
                       Data data = Data::kWhole);

    /// The same, for a command that the kernel cannot do without.
    /// @return also EIO, when the target refuses it
    Result<Answer> need(const char* step, const wire::Bytes& capsule, uint32_t bytes = 0,
                        Data data = Data::kWhole);

 private:
    Result<Answer> finished(Answer answer) const;
    Result<> receive(uint8_t* data, size_t length) const;
    Result<> exchangeFailed(const Result<>& result) const;
    Result<> nonsense(const std::string& what) const;

    ProbeSocket& socket_;
    const Clock::time_point deadline_;
    uint16_t id_ = 1;
    const char* step_ = "";
    uint32_t expected_ = 0;
    Data data_ = Data::kWhole;
};

}  // namespace mooncake::nvmeof_generic
