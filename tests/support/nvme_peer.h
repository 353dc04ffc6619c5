// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dhchap_target.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// A target in user space, as far as a connect's admin queue goes. It has its own idea of the
/// bytes: nothing here comes from the code under test.
class NvmePeer {
 public:
    using Bytes = std::vector<uint8_t>;
    /// What the peer sends in the end: may change the answer to a step of a connection, wait, or
    /// shut `fd` down. Steps are counted from 0, the ICReq.
    using Change = std::function<void(size_t step, Bytes& answer, int fd)>;

    /// @param port  on the loopback device; 0: one that is free
    explicit NvmePeer(
        std::string nqn, Change change = [](size_t, Bytes&, int) {}, int family = AF_INET,
        uint16_t port = 0);
    ~NvmePeer();
    NvmePeer(const NvmePeer&) = delete;
    NvmePeer& operator=(const NvmePeer&) = delete;

    TransportAddress address() const;
    /// The PDUs that came over the first connection, when that has ended.
    std::vector<Bytes> received();

    uint64_t connectResult = 7;    ///< the controller's id
    uint16_t refuseWith[16] = {};  ///< status by step
    bool isReady = true;           ///< CSTS.RDY
    /// With which it authenticates hosts; without, it asks for nothing. Like Linux's target it
    /// answers nothing else before, and ends the connection when it has said no.
    std::optional<DhchapTarget::Config> authentication;
    /// How the first connection's authentication went; when that has ended.
    bool hasAuthenticated();
    bool wasToldFailure2();
    /// Connections up to now.
    size_t connections();

 private:
    void accept();
    void serve(int fd, bool first);
    Bytes answerTo(size_t step, const Bytes& pdu, std::optional<DhchapTarget>& chap);

    const std::string nqn_;
    const Change change_;
    const int family_;
    UniqueFd listener_;
    uint16_t port_ = 0;
    std::mutex mutex_;
    std::condition_variable firstEnded_;
    bool hasEnded_ = false;
    std::vector<Bytes> received_;
    std::optional<DhchapTarget> firstAuthentication_;
    size_t accepted_ = 0;
    std::vector<UniqueFd> connections_;
    std::vector<std::thread> threads_;  // of the connections; like them, the acceptor's own
    std::thread acceptor_;
};

}  // namespace mooncake::nvmeof_generic
