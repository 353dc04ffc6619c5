// SPDX-License-Identifier: Apache-2.0
// The bytes of NVMe/TCP, as far as an admin queue's beginning needs them. Sources: NVMe/TCP
// Transport Specification 1.0, section 3.6 (PDUs); NVMe over Fabrics 1.1, section 3 (Connect,
// Property Get and Set); NVMe Base Specification 2.0, sections 5 (admin commands) and 6 (AUTHREQ,
// Authentication Send and Receive). All numbers are little endian.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic::wire {

using Bytes = std::vector<uint8_t>;

inline constexpr size_t kIcBytes = 128;
inline constexpr size_t kHeaderBytes = 8;     // what every PDU begins with
inline constexpr size_t kResponseBytes = 24;  // CapsuleResp, and the header of C2HData
inline constexpr size_t kIdentifyBytes = 4096;
inline constexpr uint8_t kIcResp = 0x01;
inline constexpr uint8_t kC2hTermReq = 0x03;
inline constexpr uint8_t kCapsuleResp = 0x05;
inline constexpr uint8_t kC2hData = 0x07;

/// Registers of a controller.
inline constexpr uint32_t kCap = 0x00, kVs = 0x08, kCc = 0x14, kCsts = 0x1c;
/// CC: enabled, 64-byte submission and 16-byte completion entries; the same with a normal shutdown.
inline constexpr uint32_t kCcEnable = 0x00460001, kCcShutdown = 0x00464001;
inline constexpr uint32_t kCstsReady = 1, kCstsFatal = 2;

/// An ICReq: version 0, no digests, one R2T at a time.
Bytes icReq();
/// Whether an ICResp (kIcBytes) agrees to just that; Linux takes no other one.
bool agreesToIcReq(const uint8_t* pdu);

/// Command capsules. `id` comes back with the answer.
Bytes connect(uint16_t id, const std::string& subsystemNqn, const HostIdentity& host,
              uint32_t keepAliveMs);
Bytes propertyGet(uint16_t id, uint32_t offset, bool eightBytes);
Bytes propertySet(uint16_t id, uint32_t offset, uint32_t value);
/// Answered with kIdentifyBytes.
Bytes identifyController(uint16_t id);
Bytes identifyActiveNamespaces(uint16_t id);
/// @param bytes  of the ANA log to send; a multiple of 4
Bytes getAnaLog(uint16_t id, uint32_t bytes);
Bytes setNumberOfQueues(uint16_t id, uint16_t queues);
Bytes keepAlive(uint16_t id);
/// A message of DH-HMAC-CHAP, and the question for the target's.
/// @param bytes  of the answer, at most
Bytes authenticationSend(uint16_t id, const Bytes& message);
Bytes authenticationReceive(uint16_t id, uint32_t bytes);

/// What every PDU begins with.
struct Header {
    uint8_t type, flags, headerLength, dataOffset;
    uint32_t length;  ///< of the whole PDU
};
Header parseHeader(const uint8_t* pdu);

/// A CapsuleResp's content.
struct Completion {
    uint64_t result;
    uint16_t id;
    uint16_t status;  ///< 0: success; as the kernel prints it, without the phase bit
};
Completion parseCompletion(const uint8_t* pdu);

/// A C2HData's header.
struct Data {
    uint16_t id;
    uint32_t offset, length;
    bool last, success;  ///< `success`: no CapsuleResp follows
};
Data parseData(const uint8_t* pdu);

/// What a Connect's result asks for (AUTHREQ): authentication (ATR), or that and a TLS channel made
/// of it (ASCR).
bool asksForAuthentication(uint64_t connectResult);
bool asksForSecureChannel(uint64_t connectResult);

/// What counts in Identify Controller's answer.
struct Identity {
    std::string subsystemNqn;
    uint16_t controllerId;
    uint32_t anaLogBytes;  ///< that Linux asks for next; 0: none
};
/// @param data  kIdentifyBytes
Identity parseIdentity(const uint8_t* data);

}  // namespace mooncake::nvmeof_generic::wire
