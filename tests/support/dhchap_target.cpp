// SPDX-License-Identifier: Apache-2.0
#include "dhchap_target.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

using Bytes = DhchapTarget::Bytes;

constexpr uint32_t kSequence = 0xa1b2c3d4;
constexpr size_t kGroupBytes[] = {0, 256, 384, 512, 768, 1024};

const EVP_MD* digestOf(int hash) {
    return hash == 1 ? EVP_sha256() : hash == 2 ? EVP_sha384() : EVP_sha512();
}

Bytes hmac(int hash, const Bytes& key, const Bytes& text) {
    Bytes code(EVP_MAX_MD_SIZE);
    unsigned length = 0;
    HMAC(digestOf(hash), key.data(), static_cast<int>(key.size()), text.data(), text.size(),
         code.data(), &length);
    code.resize(length);
    return code;
}

void append(Bytes& bytes, const std::string& text) {
    bytes.insert(bytes.end(), text.begin(), text.end());
}

void append(Bytes& bytes, const Bytes& more) {
    std::copy(more.begin(), more.end(), std::back_inserter(bytes));
}

// "DHHC-1:0h:<base64 of key and CRC>:", bound to its owner.
Bytes keyOf(const std::string& text, const std::string& owner) {
    const std::string coded = text.substr(10, text.size() - 11);
    Bytes key(coded.size());
    const int length = EVP_DecodeBlock(key.data(), reinterpret_cast<const uint8_t*>(coded.data()),
                                       static_cast<int>(coded.size()));
    const auto padding = std::count(coded.begin(), coded.end(), '=');
    key.resize(static_cast<size_t>(length - padding - 4));
    const int hash = text[8] - '0';
    if (hash == 0) return key;
    Bytes name;
    append(name, owner + "NVMe-over-Fabrics");
    return hmac(hash, key, name);
}

struct Free {
    void operator()(BIGNUM* number) const { BN_free(number); }
    void operator()(BN_CTX* context) const { BN_CTX_free(context); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, Free>;

// The prime of a group, by its name.
Number primeOf(int group) {
    static constexpr const char* kNames[] = {"",          "ffdhe2048", "ffdhe3072",
                                             "ffdhe4096", "ffdhe6144", "ffdhe8192"};
    const std::unique_ptr<EVP_PKEY_CTX, Free> context(
        EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(
                                   OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>(kNames[group]), 0),
                               OSSL_PARAM_construct_end()};
    EVP_PKEY* made = nullptr;
    EVP_PKEY_paramgen_init(context.get());
    EVP_PKEY_CTX_set_params(context.get(), parameters);
    EVP_PKEY_paramgen(context.get(), &made);
    const std::unique_ptr<EVP_PKEY, Free> key(made);
    BIGNUM* prime = nullptr;
    if (EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_FFC_P, &prime) != 1) {
        throw std::runtime_error("no such group");
    }
    return Number(prime);
}

Bytes toBytes(const Number& number, int group) {
    Bytes bytes(kGroupBytes[group]);
    BN_bn2binpad(number.get(), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
}

// base ^ exponent mod the group's prime, of its whole length.
Bytes power(int group, const Bytes& base, const Bytes& exponent) {
    const std::unique_ptr<BN_CTX, Free> context(BN_CTX_new());
    const auto number = [](const Bytes& bytes) {
        return Number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
    };
    const Number result(BN_new());
    BN_mod_exp(result.get(), number(base).get(), number(exponent).get(), primeOf(group).get(),
               context.get());
    return toBytes(result, group);
}

Bytes random(size_t length) {
    Bytes bytes(length);
    RAND_bytes(bytes.data(), static_cast<int>(length));
    return bytes;
}

size_t hashBytes(int hash) {
    return hash == 1 ? 32 : hash == 2 ? 48 : 64;
}

}  // namespace

DhchapTarget::DhchapTarget(Config config, std::string hostNqn, std::string subsystemNqn)
    : config_(std::move(config)),
      hostNqn_(std::move(hostNqn)),
      subsystemNqn_(std::move(subsystemNqn)) {}

void DhchapTarget::send(const Bytes& message) {
    if (message.size() < 8) return refuse(6);
    const int type = message[0], id = message[1];
    if (type == 0 && id == 0 && step_ == Step::kNegotiate) return negotiate(message);
    if (type == 0 && id == 0xf0) {
        toldFailure2_ = true;
        step_ = Step::kRefused;
        return;
    }
    if (std::memcmp(&message[4], &transaction_, 2) != 0) return refuse(6);
    if (type == 1 && id == 2 && step_ == Step::kReply) return judge(message);
    if (type == 1 && id == 4 && step_ == Step::kSuccess2 && message.size() == 16) {
        step_ = Step::kDone;
        return;
    }
    refuse(7);
}

DhchapTarget::Bytes DhchapTarget::receive(size_t length) {
    Bytes message;
    if (step_ == Step::kChallenge) {
        message = challenge();
    } else if (step_ == Step::kSuccess1) {
        message = success1();
    } else {
        message = {0, 0xf1, 0, 0, 0, 0, 1, explanation_};
        std::memcpy(&message[4], &transaction_, 2);
        step_ = Step::kRefused;
    }
    message.resize(length);
    return message;
}

DhchapTarget::Bytes DhchapTarget::prime(int group) {
    return toBytes(primeOf(group), group);
}

void DhchapTarget::refuse(uint8_t explanation) {
    explanation_ = explanation;
    step_ = Step::kFailure1;
}

void DhchapTarget::negotiate(const Bytes& message) {
    std::memcpy(&transaction_, &message[4], 2);
    if (message.size() != 72 || message[6] != 0 || message[7] != 1 || message[8] != 1) {
        return refuse(6);
    }
    const auto* hashes = &message[12];
    const auto* groups = &message[42];
    if (std::find(hashes, hashes + message[10], config_.hash) == hashes + message[10]) {
        return refuse(4);
    }
    if (std::find(groups, groups + message[11], config_.group) == groups + message[11]) {
        return refuse(5);
    }
    step_ = Step::kChallenge;
}

DhchapTarget::Bytes DhchapTarget::challenge() {
    const auto length = static_cast<uint16_t>(kGroupBytes[config_.group]);
    challenge_ = random(hashBytes(config_.hash));
    Bytes message(16);
    message[0] = message[1] = 1;
    std::memcpy(&message[4], &transaction_, 2);
    message[6] = static_cast<uint8_t>(challenge_.size());
    message[8] = config_.hash;
    message[9] = config_.group;
    std::memcpy(&message[10], &length, 2);
    std::memcpy(&message[12], &kSequence, 4);
    append(message, challenge_);
    if (length != 0) {
        exponent_ = random(40);
        append(message, power(config_.group, {2}, exponent_));
    }
    step_ = Step::kReply;
    return message;
}

void DhchapTarget::judge(const Bytes& reply) {
    const size_t length = hashBytes(config_.hash), group = kGroupBytes[config_.group];
    uint16_t dhLength = 0;
    std::memcpy(&dhLength, &reply[10], 2);
    if (reply.size() != 16 + 2 * length + group || reply[6] != length || dhLength != group) {
        return refuse(6);
    }
    const auto at = [&](size_t offset) { return reply.begin() + static_cast<ptrdiff_t>(offset); };
    if (group != 0) {
        shared_ = power(config_.group, Bytes(at(16 + 2 * length), reply.end()), exponent_);
    }
    const Bytes response(at(16), at(16 + length));
    if (response !=
        proof(config_.hostKey, "HostHost", hostNqn_, subsystemNqn_, challenge_, kSequence)) {
        return refuse(1);
    }
    std::memcpy(&theirSequence_, &reply[12], 4);
    if ((reply[8] == 1) != (theirSequence_ != 0)) return refuse(6);
    if (reply[8] == 1) theirChallenge_.assign(at(16 + length), at(16 + 2 * length));
    step_ = Step::kSuccess1;
}

DhchapTarget::Bytes DhchapTarget::success1() {
    Bytes message(16);
    message[0] = 1, message[1] = 3;
    std::memcpy(&message[4], &transaction_, 2);
    message[6] = static_cast<uint8_t>(hashBytes(config_.hash));
    if (theirChallenge_.empty()) {
        step_ = Step::kDone;
        return message;
    }
    if (config_.controllerKey.empty()) {
        refuse(1);
        return receive(8);
    }
    message[8] = 1;
    append(message, proof(config_.controllerKey, "Controller", subsystemNqn_, hostNqn_,
                          theirChallenge_, theirSequence_));
    step_ = Step::kSuccess2;
    return message;
}

DhchapTarget::Bytes DhchapTarget::proof(const std::string& key, const std::string& role,
                                        const std::string& owner, const std::string& other,
                                        const Bytes& challenge, uint32_t sequence) const {
    Bytes text = challenge;
    if (!shared_.empty()) {
        Bytes session(EVP_MAX_MD_SIZE);
        unsigned length = 0;
        EVP_Digest(shared_.data(), shared_.size(), session.data(), &length, digestOf(config_.hash),
                   nullptr);
        session.resize(length);
        text = hmac(config_.hash, session, challenge);
    }
    const auto* number = reinterpret_cast<const uint8_t*>(&sequence);
    text.insert(text.end(), number, number + 4);
    text.push_back(static_cast<uint8_t>(transaction_));
    text.push_back(static_cast<uint8_t>(transaction_ >> 8));
    text.push_back(0);
    append(text, role + owner);
    text.push_back(0);
    append(text, other);
    return hmac(config_.hash, keyOf(key, owner), text);
}

}  // namespace mooncake::nvmeof_generic
