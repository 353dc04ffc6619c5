// SPDX-License-Identifier: Apache-2.0
// NVMe Qualified Names, and the identity that target and initiator both compute from them. Every
// function may be called from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Every subsystem that this transport exports has an NQN that begins so; the rest is a random
/// UUID.
inline constexpr std::string_view kSubsystemNqnPrefix =
    "nqn.2026-01.ai.kvcache.mooncake:nvmeof-generic:";

/// Checks the form of an NQN (NVMe Base Specification 2.0, section 4.5): "nqn.", a date yyyy-mm, a
/// dot, the rest; 223 bytes at most. Stricter than the specification in the rest: only letters,
/// digits and ". - : _", because the name becomes a folder name in configfs and a value in a
/// comma-separated option string, neither of which escapes.
/// @return EINVAL with what is wrong
Result<> checkNqn(std::string_view nqn);

/// A new NQN for one incarnation of a target: kSubsystemNqnPrefix and a random UUID. Never returns
/// the same twice.
std::string newSubsystemNqn();

/// Whether `nqn` is the name of a subsystem that this transport made: the prefix and a well-formed
/// UUID.
bool isOwnSubsystemNqn(std::string_view nqn);

/// The UUID of namespace `nsid` in subsystem `subnqn`, 36 characters in lower case: UUID version 5
/// (RFC 9562, 5.5) of
/// "<subnqn>/<nsid>" in a name space of this project's own. The target gives it to the namespace,
/// the initiator expects it of the device it opened.
std::string namespaceUuid(std::string_view subnqn, uint32_t nsid);

}  // namespace mooncake::nvmeof_generic
