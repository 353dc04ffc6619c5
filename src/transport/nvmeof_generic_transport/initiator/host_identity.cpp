// SPDX-License-Identifier: Apache-2.0
#include "host_identity.h"

#include <fcntl.h>
#include <uuid/uuid.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>

#include "sysfs_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

// The form of NVMe Base Specification 2.0, section 4.5, for hosts without an organisation's name.
constexpr std::string_view kUuidNqnPrefix = "nqn.2014-08.org.nvmexpress:uuid:";
// The name space of the UUIDs made here. Never change it: a host would become another one.
constexpr char kHostUuidSpace[] = "1c3e7b58-8f0a-4c5e-b6f4-2a90d7c1e663";
constexpr size_t kUuidChars = 36;

constexpr char kIdentityRemedy[] =
    " (write another with 'nvme gen-hostnqn', or remove the file: this host then has a name of its "
    "own)";

std::string toText(const uuid_t uuid) {
    char text[kUuidChars + 1];
    uuid_unparse_lower(uuid, text);
    return text;
}

// A UUID in its usual form, not nil; in lower case.
std::optional<std::string> parseUuid(const std::string& text) {
    uuid_t uuid;
    if (text.size() != kUuidChars || uuid_parse(text.c_str(), uuid) != 0 || uuid_is_null(uuid)) {
        return std::nullopt;
    }
    return toText(uuid);
}

std::string uuidOf(std::string_view name) {
    uuid_t space, uuid;
    uuid_parse(kHostUuidSpace, space);
    uuid_generate_sha1(uuid, space, name.data(), name.size());
    return toText(uuid);
}

HostIdentity identityOf(const std::string& uuid) {
    return {std::string(kUuidNqnPrefix) + uuid, uuid};
}

// The id that goes with an NQN when no file names one.
std::string idOf(const std::string& nqn) {
    if (nqn.starts_with(kUuidNqnPrefix)) {
        if (auto uuid = parseUuid(nqn.substr(kUuidNqnPrefix.size()))) return *uuid;
    }
    return uuidOf(nqn);
}

bool isMissing(int code) {
    return code == ENOENT || code == ENOTDIR;
}

// The pair of nvme-cli's files, or nothing when there is no hostnqn. A blank file, as images have
// that are to become many hosts, counts as none, as nvme-cli takes it.
Result<std::optional<HostIdentity>> readFiles(const std::string& etcRoot) {
    const std::string nqnFile = etcRoot + "/nvme/hostnqn";
    const std::string idFile = etcRoot + "/nvme/hostid";
    auto nqn = readAttribute(AT_FDCWD, nqnFile);
    if (!nqn.ok()) {
        // A hostid alone is not used: tools give it to an NQN that they make themselves, and the
        // same id with ours would be refused.
        if (isMissing(nqn.error().code)) return std::optional<HostIdentity>();
        return nqn.error();
    }
    if (nqn.value().empty()) return std::optional<HostIdentity>();
    if (const auto checked = checkNqn(nqn.value()); !checked.ok()) {
        return Error{EINVAL, nqnFile + ": " + checked.error().message + kIdentityRemedy};
    }
    auto id = readAttribute(AT_FDCWD, idFile);
    if (!id.ok()) {
        if (!isMissing(id.error().code)) return id.error();
        return std::optional(HostIdentity{nqn.value(), idOf(nqn.value())});
    }
    if (id.value().empty()) return std::optional(HostIdentity{nqn.value(), idOf(nqn.value())});
    const auto uuid = parseUuid(id.value());
    if (!uuid) {
        return makeError(EINVAL, idFile + " holds " + inQuotes(id.value()),
                         "it must be a UUID of 36 characters, not nil: write another with "
                         "'uuidgen', or remove the file");
    }
    return std::optional(HostIdentity{nqn.value(), *uuid});
}

// What tells this machine from others: nothing where an image was never started properly.
std::optional<std::string> machineName(const InitiatorOptions& options) {
    const auto machineId = readAttribute(AT_FDCWD, options.etcRoot + "/machine-id");
    if (machineId.ok() && machineId.value().size() == 32 &&
        machineId.value().find_first_not_of("0123456789abcdef") == std::string::npos &&
        machineId.value().find_first_not_of('0') != std::string::npos) {
        return machineId.value();
    }
    const auto product = readAttribute(AT_FDCWD, options.sysRoot + "/class/dmi/id/product_uuid");
    return product.ok() ? parseUuid(product.value()) : std::nullopt;
}

const HostIdentity& randomIdentity() {
    static const HostIdentity kIdentity = [] {
        uuid_t uuid;
        uuid_generate_random(uuid);
        return identityOf(toText(uuid));
    }();
    return kIdentity;
}

}  // namespace

Result<HostIdentity> loadHostIdentity(const InitiatorOptions& options) {
    auto files = readFiles(options.etcRoot);
    const std::string& wanted = options.hostNqn;
    if (!wanted.empty()) {
        if (auto checked = checkNqn(wanted); !checked.ok()) return checked.error();
        // Files that are not asked for may be what they like.
        if (files.ok() && files.value() && files.value()->nqn == wanted) return *files.value();
        return HostIdentity{wanted, idOf(wanted)};
    }
    if (!files.ok()) return files.error();
    if (files.value()) return *files.value();
    if (const auto name = machineName(options)) return identityOf(uuidOf(*name));
    return randomIdentity();
}

HostIdentity agreeWith(const HostIdentity& own, const std::vector<ControllerInfo>& controllers) {
    const auto sameNqn = std::find_if(
        controllers.begin(), controllers.end(),
        [&](const ControllerInfo& c) { return c.hostNqn == own.nqn && !c.hostId.empty(); });
    if (sameNqn != controllers.end()) return {own.nqn, sameNqn->hostId};
    const bool idTaken = std::any_of(
        controllers.begin(), controllers.end(),
        [&](const ControllerInfo& c) { return c.hostId == own.id && c.hostNqn != own.nqn; });
    if (!idTaken) return own;
    // The id of the NQN itself may be the one that is taken.
    const std::string other = idOf(own.nqn);
    return {own.nqn, other != own.id ? other : uuidOf(own.nqn)};
}

}  // namespace mooncake::nvmeof_generic
