// SPDX-License-Identifier: Apache-2.0
#include "machine_identity.h"

#include <uuid/uuid.h>

#include <fstream>

#include "transport/nvmeof_generic_transport/common/network_namespace.h"

namespace mooncake::nvmeof_generic {
namespace {

// The name space of the UUIDs made here. Never change it: nodes of two versions on one machine
// would take each other for strangers.
constexpr char kMachineUuidSpace[] = "b3a7c6a4-5f0e-4a52-9d83-1e6f0a2c7d94";
constexpr size_t kUuidChars = 36;

std::string uuidOf(const std::string& name) {
    uuid_t space, uuid;
    uuid_parse(kMachineUuidSpace, space);
    uuid_generate_sha1(uuid, space, name.data(), name.size());
    char text[kUuidChars + 1];
    uuid_unparse_lower(uuid, text);
    return text;
}

}  // namespace

MachineIdentity machineIdentity() {
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    const uint64_t network = networkNamespace();
    return machineIdentity(boot, network == 0 ? "" : std::to_string(network));
}

MachineIdentity machineIdentity(const std::string& bootId, const std::string& networkNamespace) {
    if (bootId.empty()) return {};
    return {networkNamespace.empty() ? "" : uuidOf(bootId + "/" + networkNamespace),
            uuidOf(bootId)};
}

}  // namespace mooncake::nvmeof_generic
