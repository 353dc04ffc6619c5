// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/nqn.h"

#include <uuid/uuid.h>

#include <algorithm>
#include <cerrno>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr size_t kMaxNqnBytes = 223;
constexpr size_t kUuidChars = 36;

// The name space of namespaceUuid(). It may never change: both ends of a connection must use the
// same.
constexpr char kNamespaceUuidSpace[] = "6f1b0c52-3d0e-4c8e-9a53-0d6f6b6e7a11";

bool isDigit(char c) {
    return c >= '0' && c <= '9';
}

bool isNqnCharacter(char c) {
    return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == ':' || c == '_';
}

// "nqn.yyyy-mm." and at least one more character.
bool hasNqnHead(std::string_view nqn) {
    constexpr std::string_view kShape = "nqn.dddd-dd.";
    if (nqn.size() <= kShape.size()) return false;
    for (size_t i = 0; i < kShape.size(); ++i) {
        if (kShape[i] == 'd' ? !isDigit(nqn[i]) : nqn[i] != kShape[i]) return false;
    }
    return true;
}

std::string toText(const uuid_t uuid) {
    char text[kUuidChars + 1];
    uuid_unparse_lower(uuid, text);
    return text;
}

}  // namespace

Result<> checkNqn(std::string_view nqn) {
    if (nqn.size() > kMaxNqnBytes) {
        return makeError(EINVAL,
                         "NQN " + inQuotes(nqn) + " has " + std::to_string(nqn.size()) + " bytes",
                         "at most 223 are allowed");
    }
    if (!hasNqnHead(nqn)) {
        return makeError(EINVAL, "NQN " + inQuotes(nqn),
                         "it must begin with nqn.yyyy-mm. and go on with a name");
    }
    if (!std::all_of(nqn.begin(), nqn.end(), isNqnCharacter)) {
        return makeError(EINVAL, "NQN " + inQuotes(nqn),
                         "only letters, digits and the characters . - : _ are allowed");
    }
    return {};
}

std::string newSubsystemNqn() {
    uuid_t uuid;
    uuid_generate_random(uuid);
    return std::string(kSubsystemNqnPrefix) + toText(uuid);
}

bool isOwnSubsystemNqn(std::string_view nqn) {
    if (!nqn.starts_with(kSubsystemNqnPrefix)) return false;
    const std::string tail(nqn.substr(kSubsystemNqnPrefix.size()));
    uuid_t uuid;
    return tail.size() == kUuidChars && uuid_parse(tail.c_str(), uuid) == 0;
}

std::string namespaceUuid(std::string_view subnqn, uint32_t nsid) {
    uuid_t space, uuid;
    uuid_parse(kNamespaceUuidSpace, space);
    const std::string name = std::string(subnqn) + "/" + std::to_string(nsid);
    uuid_generate_sha1(uuid, space, name.data(), name.size());
    return toText(uuid);
}

}  // namespace mooncake::nvmeof_generic
