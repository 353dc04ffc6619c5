// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mooncake::nvmeof_generic {

/// A target's side of DH-HMAC-CHAP on one connection. It has its own idea of the messages and of
/// the computation: nothing here comes from the code under test.
class DhchapTarget {
 public:
    using Bytes = std::vector<uint8_t>;

    struct Config {
        std::string hostKey;             ///< as it stands in a key file
        std::string controllerKey = {};  ///< empty: the target cannot prove who it is
        uint8_t hash = 1;                ///< 1 to 3: SHA-256, SHA-384, SHA-512
        uint8_t group = 0;               ///< 0: none; 1 to 5: ffdhe2048 to ffdhe8192
    };

    DhchapTarget(Config config, std::string hostNqn, std::string subsystemNqn);

    /// What the host sends.
    void send(const Bytes& message);
    /// What it gets: `length` bytes, with zeros at the end, as Linux's target does.
    Bytes receive(size_t length);

    bool hasAuthenticated() const { return step_ == Step::kDone; }
    /// It has said no, and ends the connection.
    bool hasRefused() const { return step_ == Step::kRefused; }
    bool wasToldFailure2() const { return toldFailure2_; }
    /// Of a group, 1 to 5; big endian.
    static Bytes prime(int group);
    /// What both have computed of their DH values.
    const Bytes& shared() const { return shared_; }

 private:
    enum class Step {
        kNegotiate,
        kChallenge,
        kReply,
        kSuccess1,
        kSuccess2,
        kFailure1,
        kDone,
        kRefused
    };

    void negotiate(const Bytes& message);
    void judge(const Bytes& reply);
    void refuse(uint8_t explanation);
    Bytes challenge();
    Bytes success1();
    Bytes proof(const std::string& key, const std::string& role, const std::string& owner,
                const std::string& other, const Bytes& challenge, uint32_t sequence) const;

    const Config config_;
    const std::string hostNqn_;
    const std::string subsystemNqn_;
    Step step_ = Step::kNegotiate;
    uint8_t explanation_ = 0;
    bool toldFailure2_ = false;
    uint16_t transaction_ = 0;
    Bytes challenge_;
    Bytes theirChallenge_;
    uint32_t theirSequence_ = 0;
    Bytes exponent_;
    Bytes shared_;
};

}  // namespace mooncake::nvmeof_generic
