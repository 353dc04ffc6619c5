// SPDX-License-Identifier: Apache-2.0
#include "dhchap.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <memory>
#include <utility>

#include "openssl_gate.h"

namespace mooncake::nvmeof_generic {
namespace {

using Bytes = DhchapHost::Bytes;

// AUTH_TYPE and AUTH_ID of the messages.
constexpr uint8_t kCommon = 0x00, kDhchap = 0x01;
constexpr uint8_t kNegotiate = 0x00, kChallenge = 0x01, kReply = 0x02, kSuccess1 = 0x03,
                  kSuccess2 = 0x04, kFailure2 = 0xf0, kFailure1 = 0xf1;
constexpr uint8_t kAuthenticationFailed = 0x01;  // reason, and its explanation

// One on each connection.
constexpr uint16_t kTransaction = 1;

// Places in the messages.
constexpr size_t kId = 4, kHashBytes = 6, kHash = 8, kGroup = 9, kIsValid = 8, kDhBytes = 10,
                 kSequence = 12, kHead = 16, kExplanation = 7, kFailureBytes = 8;

struct Hash {
    const char* name;
    size_t bytes;
};
constexpr Hash kHashes[] = {{"SHA256", 32}, {"SHA384", 48}, {"SHA512", 64}};  // from 1 on

struct Group {
    const char* name;
    size_t bytes;
};
constexpr Group kGroups[] = {{"ffdhe2048", 256},  // from 1 on
                             {"ffdhe3072", 384},
                             {"ffdhe4096", 512},
                             {"ffdhe6144", 768},
                             {"ffdhe8192", 1024}};

const Hash& hashOf(uint8_t number) {
    return kHashes[number - 1];
}

template <class T>
void put(uint8_t* bytes, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t get(const uint8_t* bytes, size_t length) {
    uint32_t value = 0;
    for (size_t i = length; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

const uint8_t* bytesOf(std::string_view text) {
    return reinterpret_cast<const uint8_t*>(text.data());
}

uint8_t* bytesOf(Secret& secret) {
    return reinterpret_cast<uint8_t*>(secret.data());
}

Bytes message(uint8_t type, uint8_t id, size_t length) {
    Bytes bytes(length);
    bytes[0] = type;
    bytes[1] = id;
    put(&bytes[kId], kTransaction);
    return bytes;
}

Error nonsense(const char* at, const char* what) {
    return Error{EPROTO, std::string("the target breaks the protocol at ") + at +
                             " of DH-HMAC-CHAP: " + what};
}

Error notComputed() {
    return Error{
        EOPNOTSUPP,
        "this host's OpenSSL does not compute what authentication (DH-HMAC-CHAP) takes: check "
        "its configuration (FIPS) and the memory that is left"};
}

// Failure1. The kernel would be refused for the same reason: it offers and asks for the same.
Error refusal(uint8_t explanation) {
    if (explanation == kAuthenticationFailed) return Error{EKEYREJECTED, ""};
    constexpr const char* kReasons[] = {
        "it does not know this protocol",          // 02h
        "it wants a secure channel besides",       // 03h
        "it takes none of the hashes offered",     // 04h
        "it takes none of the DH groups offered",  // 05h
        "it says that a message was malformed",    // 06h
        "it says that a message was out of turn",  // 07h
    };
    const size_t place = explanation - 2u;
    char number[16];
    std::snprintf(number, sizeof(number), "reason 0x%02x", explanation);
    return Error{EPROTONOSUPPORT,
                 std::string("the target refuses authentication (DH-HMAC-CHAP): ") +
                     (place < std::size(kReasons) ? kReasons[place] : number)};
}

Result<> expect(const Bytes& bytes, uint8_t id, const char* at) {
    if (bytes.size() >= kFailureBytes && bytes[0] == kCommon && bytes[1] == kFailure1) {
        return refusal(bytes[kExplanation]);
    }
    if (bytes.size() < kHead || bytes[0] != kDhchap || bytes[1] != id) {
        return nonsense(at, "it sent another message");
    }
    if (get(&bytes[kId], 2) != kTransaction)
        return nonsense(at, "it speaks of another transaction");
    return {};
}

// What OpenSSL has against a value is told by its result alone; the thread's list of errors is
// others' as well.
class NoErrorsLeft {
 public:
    NoErrorsLeft() { ERR_set_mark(); }
    ~NoErrorsLeft() { ERR_pop_to_mark(); }
    NoErrorsLeft(const NoErrorsLeft&) = delete;
    NoErrorsLeft& operator=(const NoErrorsLeft&) = delete;
};

// Empty where it cannot be computed, like what is made of an empty one.
Secret hmac(const Hash& hash, const Secret& key, std::string_view text) {
    if (key.empty()) return {};
    Secret code(hash.bytes);
    size_t length = 0;
    const auto* made =
        EVP_Q_mac(nullptr, "HMAC", nullptr, hash.name, nullptr, key.text(), key.size(),
                  bytesOf(text), text.size(), bytesOf(code), code.size(), &length);
    if (made == nullptr || length != code.size()) return {};
    return code;
}

Secret digest(const Hash& hash, const Secret& of) {
    Secret code(hash.bytes);
    if (EVP_Q_digest(nullptr, hash.name, nullptr, of.text(), of.size(), bytesOf(code), nullptr) !=
        1) {
        return {};
    }
    return code;
}

// A key is its owner's alone: its text stands for another one with each NQN.
Secret bind(const Secret& text, const std::string& owner) {
    auto key = parseDhchapKey(text.view());
    if (!key.ok()) return {};
    if (key.value().hash == 0) return std::move(key.value().bytes);
    return hmac(hashOf(key.value().hash), key.value().bytes, owner + "NVMe-over-Fabrics");
}

struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
    void operator()(unsigned char* bytes) const { OPENSSL_free(bytes); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Free>;

Key makeKey(const Group& group) {
    const Context context(EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr));
    EVP_PKEY* made = nullptr;
    if (context == nullptr || EVP_PKEY_keygen_init(context.get()) != 1 ||
        EVP_PKEY_CTX_set_group_name(context.get(), group.name) != 1 ||
        EVP_PKEY_generate(context.get(), &made) != 1) {
        return nullptr;
    }
    return Key(made);
}

}  // namespace

DhchapHost::DhchapHost(std::string hostNqn, std::string subsystemNqn, const KeyPair& keys)
    : hostNqn_(std::move(hostNqn)), subsystemNqn_(std::move(subsystemNqn)), keys_(keys) {}

Bytes DhchapHost::negotiate() {
    constexpr size_t kProtocols = 7, kProtocol = 8, kHashCount = 10, kGroupCount = 11,
                     kHashList = 12, kGroupList = kHashList + 30, kBytes = kHashList + 60;
    Bytes bytes = message(kCommon, kNegotiate, kBytes);
    bytes[kProtocols] = 1;
    bytes[kProtocol] = kDhchap;
    bytes[kHashCount] = std::size(kHashes);
    bytes[kGroupCount] = std::size(kGroups) + 1;
    for (uint8_t i = 0; i < bytes[kHashCount]; ++i) bytes[kHashList + i] = i + 1;
    for (uint8_t i = 0; i < bytes[kGroupCount]; ++i) bytes[kGroupList + i] = i;
    return bytes;
}

Result<Bytes> DhchapHost::reply(const Bytes& challenge) {
    constexpr char kAt[] = "the challenge";
    if (auto expected = expect(challenge, kChallenge, kAt); !expected.ok()) return expected.error();
    const OpensslGate openssl;
    if (!openssl.isOpen()) return Error{ECANCELED, ""};
    const NoErrorsLeft guard;
    hash_ = challenge[kHash];
    if (hash_ == 0 || hash_ > std::size(kHashes) || challenge[kHashBytes] != hashOf(hash_).bytes) {
        return nonsense(kAt, "it chose a hash that was not offered, or its length is wrong");
    }
    const size_t length = hashOf(hash_).bytes, dhLength = get(&challenge[kDhBytes], 2);
    const uint8_t group = challenge[kGroup];
    if (group > std::size(kGroups)) {
        return nonsense(kAt, "it chose a DH group that was not offered");
    }
    const bool fits =
        group == 0 ? dhLength == 0 : dhLength > 0 && dhLength <= kGroups[group - 1].bytes;
    if (!fits || challenge.size() < kHead + length + dhLength) {
        return nonsense(kAt, "it is cut off, or its DH value has a wrong length");
    }
    Bytes dhValue;
    if (group != 0) {
        const auto exchanged = exchange(group, &challenge[kHead + length], dhLength, dhValue);
        if (!exchanged.ok()) return exchanged.error();
    }
    const std::string_view theirs(reinterpret_cast<const char*>(&challenge[kHead]), length);
    const Secret response = proof(*keys_.host, "HostHost", hostNqn_, subsystemNqn_, theirs,
                                  get(&challenge[kSequence], 4));
    if (response.empty()) return notComputed();

    challenge_.assign(length, '\0');
    if (keys_.controller != nullptr) {
        auto* random = reinterpret_cast<uint8_t*>(challenge_.data());
        uint8_t sequence[4];
        if (RAND_bytes(random, static_cast<int>(length)) != 1 ||
            RAND_bytes(sequence, sizeof(sequence)) != 1) {
            return notComputed();
        }
        sequence_ = std::max(get(sequence, sizeof(sequence)), 1u);
    }
    Bytes bytes = message(kDhchap, kReply, kHead);
    bytes[kHashBytes] = static_cast<uint8_t>(length);
    bytes[kIsValid] = keys_.controller != nullptr ? 1 : 0;
    put(&bytes[kDhBytes], static_cast<uint16_t>(dhValue.size()));
    put(&bytes[kSequence], sequence_);
    const std::string_view proved = response.view();
    bytes.insert(bytes.end(), proved.begin(), proved.end());
    bytes.insert(bytes.end(), challenge_.begin(), challenge_.end());
    bytes.insert(bytes.end(), dhValue.begin(), dhValue.end());
    return bytes;
}

Result<> DhchapHost::judge(const Bytes& outcome) {
    constexpr char kAt[] = "the outcome";
    if (auto expected = expect(outcome, kSuccess1, kAt); !expected.ok()) return expected;
    const OpensslGate openssl;
    if (!openssl.isOpen()) return Error{ECANCELED, ""};
    const NoErrorsLeft guard;
    const size_t length = hashOf(hash_).bytes;
    if (outcome[kHashBytes] != length) return nonsense(kAt, "its hash is another one");
    if (keys_.controller == nullptr) return {};
    const Secret wanted =
        proof(*keys_.controller, "Controller", subsystemNqn_, hostNqn_, challenge_, sequence_);
    if (wanted.empty()) return notComputed();
    if (outcome[kIsValid] != 0 && outcome.size() >= kHead + length &&
        CRYPTO_memcmp(&outcome[kHead], wanted.text(), length) == 0) {
        last_ = message(kDhchap, kSuccess2, kHead);
        return {};
    }
    last_ = message(kCommon, kFailure2, kFailureBytes);
    last_[kExplanation - 1] = last_[kExplanation] = kAuthenticationFailed;
    return Error{EKEYREJECTED,
                 "the target does not prove that it has the controller_key of this host's key file "
                 "(DH-HMAC-CHAP): its own file for host NQN " +
                     hostNqn_ + " has another one, or it is not who it says it is"};
}

// Of the target's value OpenSSL checks, on the way, that it lies between 1 and p - 1. In a group of
// a safe prime that is enough: what remains has order q or 2q. The whole check would take as long
// as twenty exchanges.
Result<> DhchapHost::exchange(uint8_t group, const uint8_t* theirs, size_t length, Bytes& ours) {
    const Group& known = kGroups[group - 1];
    const Key own = makeKey(known);
    const Key peer(EVP_PKEY_new());
    if (own == nullptr || peer == nullptr || EVP_PKEY_copy_parameters(peer.get(), own.get()) != 1) {
        return notComputed();
    }
    Bytes padded(known.bytes);
    std::copy(theirs, theirs + length, padded.end() - static_cast<ptrdiff_t>(length));
    if (EVP_PKEY_set1_encoded_public_key(peer.get(), padded.data(), padded.size()) != 1) {
        return nonsense("the challenge", "its DH value is none of the group");
    }
    unsigned char* encoded = nullptr;
    const size_t encodedBytes = EVP_PKEY_get1_encoded_public_key(own.get(), &encoded);
    const std::unique_ptr<unsigned char, Free> guard(encoded);
    if (encodedBytes != known.bytes) return notComputed();
    ours.assign(encoded, encoded + encodedBytes);

    const Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr));
    session_ = Secret(known.bytes);
    size_t sessionBytes = session_.size();
    constexpr int kWholeLength = 1, kNoMoreChecks = 0;
    if (context == nullptr || EVP_PKEY_derive_init(context.get()) != 1 ||
        EVP_PKEY_CTX_set_dh_pad(context.get(), kWholeLength) != 1 ||
        EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), kNoMoreChecks) != 1 ||
        EVP_PKEY_derive(context.get(), bytesOf(session_), &sessionBytes) != 1 ||
        sessionBytes != session_.size()) {
        return notComputed();
    }
    return {};
}

// HMAC of a challenge and of whose answer to it that is. Empty where it cannot be computed.
Secret DhchapHost::proof(const Secret& key, std::string_view role, const std::string& owner,
                         const std::string& other, std::string_view challenge,
                         uint32_t sequence) const {
    const Hash& hash = hashOf(hash_);
    const Secret start =
        session_.empty() ? Secret(challenge) : hmac(hash, digest(hash, session_), challenge);
    constexpr uint8_t kNoSecureChannel = 0;
    uint8_t numbers[7];
    put(numbers, sequence);
    put(numbers + 4, kTransaction);
    numbers[6] = kNoSecureChannel;
    std::string rest(numbers, numbers + sizeof(numbers));
    rest.append(role).append(owner).append(1, '\0').append(other);
    if (start.empty()) return {};
    Secret text(start.size() + rest.size());
    std::memcpy(text.data(), start.text(), start.size());
    std::memcpy(text.data() + start.size(), rest.data(), rest.size());
    return hmac(hash, bind(key, owner), text.view());
}

}  // namespace mooncake::nvmeof_generic
