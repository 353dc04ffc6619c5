// SPDX-License-Identifier: Apache-2.0
#include "nvme_wire.h"

#include <uuid/uuid.h>

#include <algorithm>
#include <cstring>

namespace mooncake::nvmeof_generic::wire {
namespace {

constexpr uint8_t kCapsuleCmd = 0x04;
constexpr size_t kCommandBytes = 64, kCapsuleBytes = kHeaderBytes + kCommandBytes;
constexpr size_t kConnectDataBytes = 1024, kNqnBytes = 256;

// Opcodes and fabrics command types.
constexpr uint8_t kGetLogPage = 0x02, kIdentify = 0x06, kSetFeatures = 0x09, kKeepAlive = 0x18;
constexpr uint8_t kFabrics = 0x7f, kPropertySet = 0x00, kConnect = 0x01, kPropertyGet = 0x04,
                  kAuthenticationSend = 0x05, kAuthenticationReceive = 0x06;

// SGL descriptors: data in the capsule, data by the transport (none where the length is 0).
constexpr uint8_t kSglInCapsule = 0x01, kSglTransport = 0x5a;
constexpr uint8_t kUsesSgl = 0x40;

template <class T>
void put(Bytes& bytes, size_t at, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
        bytes[at + i] = static_cast<uint8_t>(static_cast<uint64_t>(value) >> (8 * i));
    }
}

template <class T>
T get(const uint8_t* bytes) {
    uint64_t value = 0;
    for (size_t i = sizeof(T); i-- > 0;) value = value << 8 | bytes[i];
    return static_cast<T>(value);
}

constexpr size_t field(size_t inCommand) {
    return kHeaderBytes + inCommand;
}

/// @param answer  bytes that the controller is to send
Bytes capsule(uint8_t opcode, uint16_t id, uint32_t answer, uint32_t inCapsule = 0) {
    Bytes pdu(kCapsuleBytes + inCapsule);
    pdu[0] = kCapsuleCmd;
    pdu[2] = kCapsuleBytes;
    pdu[3] = inCapsule != 0 ? kCapsuleBytes : 0;
    put(pdu, 4, static_cast<uint32_t>(pdu.size()));
    pdu[field(0)] = opcode;
    pdu[field(1)] = kUsesSgl;
    put(pdu, field(2), id);
    put(pdu, field(32), inCapsule != 0 ? inCapsule : answer);
    pdu[field(39)] = inCapsule != 0 ? kSglInCapsule : kSglTransport;
    return pdu;
}

Bytes fabricsCapsule(uint8_t type, uint16_t id, uint32_t inCapsule = 0, uint32_t answer = 0) {
    Bytes pdu = capsule(kFabrics, id, answer, inCapsule);
    pdu[field(4)] = type;
    return pdu;
}

Bytes authentication(uint8_t type, uint16_t id, uint32_t inCapsule, uint32_t answer) {
    constexpr uint8_t kDhHmacChap = 0xe9;
    Bytes pdu = fabricsCapsule(type, id, inCapsule, answer);
    pdu[field(41)] = pdu[field(42)] = 1;  // of the protocol, as it wants
    pdu[field(43)] = kDhHmacChap;
    put(pdu, field(44), inCapsule + answer);
    return pdu;
}

}  // namespace

Bytes icReq() {
    Bytes pdu(kIcBytes);
    pdu[2] = kIcBytes;
    pdu[4] = kIcBytes;
    return pdu;
}

bool agreesToIcReq(const uint8_t* pdu) {
    const Header header = parseHeader(pdu);
    const auto version = get<uint16_t>(pdu + 8);
    const uint8_t alignment = pdu[10], digests = pdu[11];
    return header.type == kIcResp && header.headerLength == kIcBytes && header.length == kIcBytes &&
           version == 0 && alignment == 0 && digests == 0;
}

Bytes connect(uint16_t id, const std::string& subsystemNqn, const HostIdentity& host,
              uint32_t keepAliveMs) {
    constexpr uint16_t kAdminQueueSize = 32;
    constexpr uint16_t kAnyController = 0xffff;
    Bytes pdu = fabricsCapsule(kConnect, id, kConnectDataBytes);
    put(pdu, field(44), static_cast<uint16_t>(kAdminQueueSize - 1));
    put(pdu, field(48), keepAliveMs);
    uint8_t* data = pdu.data() + kCapsuleBytes;
    uuid_t hostId;
    if (uuid_parse(host.id.c_str(), hostId) == 0) std::memcpy(data, hostId, sizeof(hostId));
    put(pdu, kCapsuleBytes + 16, kAnyController);
    std::memcpy(data + 256, subsystemNqn.data(), std::min(subsystemNqn.size(), kNqnBytes - 1));
    std::memcpy(data + 512, host.nqn.data(), std::min(host.nqn.size(), kNqnBytes - 1));
    return pdu;
}

Bytes propertyGet(uint16_t id, uint32_t offset, bool eightBytes) {
    Bytes pdu = fabricsCapsule(kPropertyGet, id);
    pdu[field(40)] = eightBytes ? 1 : 0;
    put(pdu, field(44), offset);
    return pdu;
}

Bytes propertySet(uint16_t id, uint32_t offset, uint32_t value) {
    Bytes pdu = fabricsCapsule(kPropertySet, id);
    put(pdu, field(44), offset);
    put(pdu, field(48), uint64_t{value});
    return pdu;
}

Bytes identifyController(uint16_t id) {
    Bytes pdu = capsule(kIdentify, id, kIdentifyBytes);
    pdu[field(40)] = 0x01;
    return pdu;
}

Bytes identifyActiveNamespaces(uint16_t id) {
    Bytes pdu = capsule(kIdentify, id, kIdentifyBytes);
    pdu[field(40)] = 0x02;
    return pdu;
}

Bytes getAnaLog(uint16_t id, uint32_t bytes) {
    constexpr uint8_t kAnaLog = 0x0c;
    constexpr uint32_t kAllNamespaces = 0xffffffff;
    Bytes pdu = capsule(kGetLogPage, id, bytes);
    put(pdu, field(4), kAllNamespaces);
    pdu[field(40)] = kAnaLog;
    put(pdu, field(42), static_cast<uint16_t>(bytes / 4 - 1));
    return pdu;
}

Bytes setNumberOfQueues(uint16_t id, uint16_t queues) {
    constexpr uint32_t kNumberOfQueues = 0x07;
    Bytes pdu = capsule(kSetFeatures, id, 0);
    put(pdu, field(40), kNumberOfQueues);
    const uint32_t countedFrom0 = queues - 1u;
    put(pdu, field(44), countedFrom0 << 16 | countedFrom0);
    return pdu;
}

Bytes keepAlive(uint16_t id) {
    return capsule(kKeepAlive, id, 0);
}

Bytes authenticationSend(uint16_t id, const Bytes& message) {
    Bytes pdu = authentication(kAuthenticationSend, id, static_cast<uint32_t>(message.size()), 0);
    std::copy(message.begin(), message.end(), pdu.begin() + kCapsuleBytes);
    return pdu;
}

Bytes authenticationReceive(uint16_t id, uint32_t bytes) {
    return authentication(kAuthenticationReceive, id, 0, bytes);
}

Header parseHeader(const uint8_t* pdu) {
    return {pdu[0], pdu[1], pdu[2], pdu[3], get<uint32_t>(pdu + 4)};
}

Completion parseCompletion(const uint8_t* pdu) {
    return {get<uint64_t>(pdu + 8), get<uint16_t>(pdu + 20),
            static_cast<uint16_t>(get<uint16_t>(pdu + 22) >> 1)};
}

Data parseData(const uint8_t* pdu) {
    constexpr uint8_t kLast = 0x04, kSuccess = 0x08;
    return {get<uint16_t>(pdu + 8), get<uint32_t>(pdu + 12), get<uint32_t>(pdu + 16),
            (pdu[1] & kLast) != 0, (pdu[1] & kSuccess) != 0};
}

bool asksForAuthentication(uint64_t connectResult) {
    constexpr uint64_t kAtr = 1u << 17;
    return (connectResult & kAtr) != 0;
}

bool asksForSecureChannel(uint64_t connectResult) {
    constexpr uint64_t kAscr = 1u << 18;
    return (connectResult & kAscr) != 0;
}

Identity parseIdentity(const uint8_t* data) {
    constexpr size_t kCmic = 76, kControllerId = 78, kAnaGroups = 348, kNamespaces = 516,
                     kMostNamespaces = 540, kSubsystemNqn = 768;
    constexpr uint8_t kReportsAna = 0x08;
    // As much as a target of 1024 namespaces and 128 groups has, nvmet's most, and then some.
    constexpr uint64_t kMostLogBytes = 16384;
    const auto* nqn = reinterpret_cast<const char*>(data + kSubsystemNqn);
    Identity identity{{nqn, strnlen(nqn, kNqnBytes)}, get<uint16_t>(data + kControllerId), 0};
    if ((data[kCmic] & kReportsAna) != 0) {
        const auto most = get<uint32_t>(data + kMostNamespaces);
        const uint64_t namespaces = most != 0 ? most : get<uint32_t>(data + kNamespaces);
        const uint64_t log = 16 + 32 * uint64_t{get<uint32_t>(data + kAnaGroups)} + 4 * namespaces;
        identity.anaLogBytes = static_cast<uint32_t>(std::min(log, kMostLogBytes));
    }
    return identity;
}

}  // namespace mooncake::nvmeof_generic::wire
