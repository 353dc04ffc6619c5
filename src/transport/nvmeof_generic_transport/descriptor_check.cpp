// SPDX-License-Identifier: Apache-2.0
#include "descriptor_check.h"

#include <glog/logging.h>

#include <cerrno>
#include <set>

#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

// nvmet enables at most this many namespaces in a subsystem (NVMET_MAX_NAMESPACES in
// drivers/nvme/target/nvmet.h).
constexpr size_t kMaxFiles = 1024;

// loff_t is signed: no block device is larger.
constexpr uint64_t kMaxFileBytes = INT64_MAX;

}  // namespace

Result<RemoteDescriptor> checkDescriptor(const TransferMetadata::SegmentDesc& descriptor,
                                         const NetworkList& allowed) {
    const std::string segment = "segment " + inQuotes(descriptor.name);
    if (descriptor.protocol != "nvmeof_generic") {
        return makeError(EINVAL, segment + " has the protocol " + inQuotes(descriptor.protocol),
                         "only segments of nvmeof_generic hold files");
    }
    const auto& trid = descriptor.nvmeof_generic_trid;
    RemoteDescriptor checked{
        descriptor.name, {trid.trtype, trid.adrfam, trid.traddr, trid.trsvcid}, trid.subnqn, {}};
    if (trid.subnqn.empty()) {
        return makeError(EINVAL, segment + " exports no files",
                         "its node runs as an initiator only");
    }
    if (Result<> address = checkAddress(checked.address); !address.ok()) {
        return Error{EINVAL, segment + ": " + address.error().message};
    }
    if (!allowed.contains(checked.address)) {
        return makeError(EACCES, segment + " is at " + toString(checked.address),
                         "MC_NVMEOF_GENERIC_ALLOWED_NETWORKS lists the networks that this node "
                         "connects to, and this address is in none of them");
    }
    if (Result<> nqn = checkNqn(checked.subsystemNqn); !nqn.ok()) {
        return Error{EINVAL, segment + ": " + nqn.error().message};
    }
    if (descriptor.file_buffers.size() > kMaxFiles) {
        return makeError(
            EINVAL, segment + " lists " + std::to_string(descriptor.file_buffers.size()) + " files",
            "a subsystem has at most 1024 namespaces");
    }
    std::set<uint32_t> twice;
    for (const auto& file : descriptor.file_buffers) {
        if (file.id == 0 || file.id == UINT32_MAX || file.size == 0 || file.size > kMaxFileBytes) {
            LOG(ERROR)
                << segment << ": file " << file.id << " of " << file.size
                << " bytes is left out: neither its id nor its size may be 0 or out of range";
            continue;
        }
        if (!checked.fileSizes.emplace(file.id, file.size).second) twice.insert(file.id);
    }
    for (uint32_t id : twice) {
        LOG(ERROR) << segment << ": file " << id << " is left out: it is listed more than once";
        checked.fileSizes.erase(id);
    }
    return checked;
}

}  // namespace mooncake::nvmeof_generic
