// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "key_pairs.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/secret.h"

namespace mooncake::nvmeof_generic {

/// The host's side of one authentication with DH-HMAC-CHAP: the bytes of its messages and what they
/// are computed of, no I/O. The calls come in this order: negotiate(), reply(), judge(), last().
/// Sources: NVMe Base Specification 2.0, 8.13.5 (messages, computation); RFC 7919 (the groups);
/// Linux drivers/nvme/host/auth.c (what is offered, and in which order). Secrets are wiped when
/// they are no longer needed, and are in no message. For one thread. Throws std::bad_alloc.
class DhchapHost {
 public:
    using Bytes = std::vector<uint8_t>;

    /// As many bytes as Linux asks for where it expects a message; none is longer.
    static constexpr uint32_t kMessageBytes = 4096;

    /// @param keys  with a host key, in a form that parseDhchapKey() takes; what it points to
    /// outlives this object
    DhchapHost(std::string hostNqn, std::string subsystemNqn, const KeyPair& keys);

    /// The offer: SHA-256, SHA-384 and SHA-512; no group, ffdhe2048 to ffdhe8192. The kernel offers
    /// the same, so a target chooses the same for both.
    static Bytes negotiate();

    /// Answers a challenge. The largest group takes some milliseconds.
    /// @param challenge  what the target sent, of any length
    /// @return EKEYREJECTED, without a message, where the target says that authentication failed;
    /// EPROTONOSUPPORT where it refuses for another reason; EPROTO where this is no challenge to
    /// the offer; EOPNOTSUPP where OpenSSL does not compute; ECANCELED, without a message, where
    /// the process ends
    Result<Bytes> reply(const Bytes& challenge);

    /// @param outcome  what the target sent after the reply, of any length
    /// @return success when both ends have proved who they are, as far as the keys ask for it;
    /// EKEYREJECTED, with a message, where the target does not prove it; the rest as reply()
    Result<> judge(const Bytes& outcome);

    /// What the target waits for after judge(), whatever that gave; empty: for nothing.
    const Bytes& last() const { return last_; }

 private:
    Result<> exchange(uint8_t group, const uint8_t* theirs, size_t length, Bytes& ours);
    Secret proof(const Secret& key, std::string_view role, const std::string& owner,
                 const std::string& other, std::string_view challenge, uint32_t sequence) const;

    const std::string hostNqn_;
    const std::string subsystemNqn_;
    const KeyPair keys_;
    uint8_t hash_ = 0;       // what the target chose
    Secret session_;         // what both ends computed of their DH values; empty without a group
    std::string challenge_;  // to the target
    uint32_t sequence_ = 0;  // of that challenge; 0: the target need prove nothing
    Bytes last_;
};

}  // namespace mooncake::nvmeof_generic
