// SPDX-License-Identifier: Apache-2.0
#include "descriptor_check.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <set>
#include <unordered_map>
#include <utility>

#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/segment/paced_lines.h"

namespace mooncake::nvmeof_generic {
namespace {

// nvmet enables at most this many namespaces in a subsystem (NVMET_MAX_NAMESPACES in
// drivers/nvme/target/nvmet.h).
constexpr size_t kMaxFiles = 1024;

// loff_t is signed: no block device is larger.
constexpr uint64_t kMaxFileBytes = INT64_MAX;

// Of a block; what is more makes no sense.
constexpr uint64_t kMaxUnit = 65536;

bool isNsid(uint32_t number) {
    return number != 0 && number != UINT32_MAX;
}

// Not every engine knows all members.
template <class File>
constexpr bool kNumbersLast = requires(const File& file) {
    file.nsid;
    file.nsid_is_its_too;
};

template <class File>
uint32_t nsidOf(const File& file) {
    if constexpr (kNumbersLast<File>) {
        if (file.nsid != 0) return file.nsid;
    }
    return file.id;
}

template <class File>
uint32_t unitOf(const File& file) {
    const auto align = static_cast<uint64_t>(file.align);
    return std::has_single_bit(align) && align <= kMaxUnit ? static_cast<uint32_t>(align) : 1;
}

template <class File>
bool nsidIsItsToo(const File& file) {
    if constexpr (kNumbersLast<File>) return file.nsid_is_its_too;
    return false;
}

template <class File>
std::string identityOf(const File& file) {
    if constexpr (requires { file.uuid; }) {
        if (!file.uuid.empty()) return "uuid " + file.uuid;
    }
    return "path " + file.path + " of " + std::to_string(file.size);
}

// What two files have in common is nobody's identity: then all that is known must be the same.
void tellApart(RemoteFiles& files) {
    std::unordered_map<std::string, int> count;
    for (const auto& [number, file] : files) ++count[file.identity];
    for (auto& [number, file] : files) {
        if (count[file.identity] == 1) continue;
        file.identity += " as " + std::to_string(file.nsid) + " of " + std::to_string(file.size) +
                         " at " + file.path;
    }
}

enum class Reach {
    kAnywhere,
    kMachine,  ///< the machine's own
    kLink,     ///< means something on one network alone
    kNowhere,
};

Reach reachOfIpv4(uint32_t address) {
    if (address >> 24 == 0) return Reach::kNowhere;  // "this network": Linux takes it for itself
    if (address >> 24 == IN_LOOPBACKNET) return Reach::kMachine;
    if (address >> 16 == 0xa9fe) return Reach::kLink;
    return Reach::kAnywhere;
}

Reach reachOf(const TransportAddress& address) {
    if (address.adrfam == "ipv4") {
        in_addr ipv4{};
        inet_pton(AF_INET, address.traddr.c_str(), &ipv4);
        return reachOfIpv4(ntohl(ipv4.s_addr));
    }
    const size_t scope = address.traddr.find('%');
    if (scope != std::string::npos) return Reach::kLink;
    in6_addr ipv6{};
    inet_pton(AF_INET6, address.traddr.c_str(), &ipv6);
    if (IN6_IS_ADDR_UNSPECIFIED(&ipv6)) return Reach::kNowhere;
    if (IN6_IS_ADDR_LOOPBACK(&ipv6)) return Reach::kMachine;
    if (IN6_IS_ADDR_LINKLOCAL(&ipv6)) return Reach::kLink;
    if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
        uint32_t ipv4 = 0;
        std::memcpy(&ipv4, &ipv6.s6_addr[12], sizeof(ipv4));
        return reachOfIpv4(ntohl(ipv4));
    }
    return Reach::kAnywhere;
}

// Engines whose descriptors have no list publish one address.
template <class Descriptor>
TransportAddresses addressesOf(const Descriptor& descriptor) {
    const auto address = [](const auto& trid) {
        return TransportAddress{trid.trtype, trid.adrfam, trid.traddr, trid.trsvcid};
    };
    TransportAddresses all;
    if constexpr (requires { descriptor.nvmeof_generic_trids; }) {
        for (const auto& trid : descriptor.nvmeof_generic_trids) all.push_back(address(trid));
    }
    if (all.empty()) all.push_back(address(descriptor.nvmeof_generic_trid));
    return all;
}

Result<> checkReach(const std::string& segment, const TransportAddress& address,
                    const std::string& theirs, const std::string& ours) {
    constexpr char kRemedy[] = "start its node with an address that other hosts reach";
    const std::string what = "the record of " + segment + " gives the address " + address.traddr;
    switch (reachOf(address)) {
        case Reach::kAnywhere:
            return {};
        case Reach::kMachine:
            if (theirs.empty()) {
                LOG_FIRST_N(WARNING, 1)
                    << what << ", which each machine has, and does not say which machine it is on: "
                    << "it is taken to be this one";
                return {};
            }
            if (theirs == ours) return {};
            return makeError(EINVAL,
                             what +
                                 " of its own machine, and this is another one, or another "
                                 "network namespace",
                             kRemedy);
        case Reach::kLink:
            return makeError(EINVAL, what + ", which means something on one link alone", kRemedy);
        case Reach::kNowhere:
            return makeError(EINVAL, what + ", which is no address of a host", kRemedy);
    }
    return {};
}

// A record stays as it is for long, and is looked at with each attempt to connect.
void complain(std::string line) {
    static PacedLines lines;
    if (lines.admit(line)) LOG(ERROR) << line;
}

}  // namespace

Result<RemoteDescriptor> checkDescriptor(const TransferMetadata::SegmentDesc& descriptor,
                                         const NetworkList& allowed, const MachineIdentity& here) {
    const std::string segment = "segment " + inQuotes(descriptor.name);
    if (descriptor.protocol != "nvmeof_generic") {
        return makeError(EINVAL, segment + " has the protocol " + inQuotes(descriptor.protocol),
                         "only segments of nvmeof_generic hold files");
    }
    const auto& trid = descriptor.nvmeof_generic_trid;
    RemoteDescriptor checked{descriptor.name,
                             addressesOf(descriptor),
                             trid.subnqn,
                             {},
                             kNumbersLast<TransferMetadata::FileBufferDesc>};
    if (trid.subnqn.empty()) {
        return makeError(EINVAL, segment + " exports no files",
                         "its node runs as an initiator only");
    }
    if (Result<> addresses = checkAddresses(checked.addresses); !addresses.ok()) {
        return Error{EINVAL, segment + ": " + addresses.error().message};
    }
    const TransportAddress first{trid.trtype, trid.adrfam, trid.traddr, trid.trsvcid};
    if (!(checked.addresses.front() == first)) {
        return makeError(EINVAL,
                         segment + " is at " + toString(first) +
                             ", and its list of addresses begins with " +
                             toString(checked.addresses.front()),
                         "the first of the list is that of nvmeof_generic_trid");
    }
    const MachineIdentity there = machineOf(descriptor);
    checked.onAnotherKernel =
        !there.kernel.empty() && !here.kernel.empty() && there.kernel != here.kernel;
    for (const TransportAddress& address : checked.addresses) {
        if (auto reach = checkReach(segment, address, there.machine, here.machine); !reach.ok()) {
            return reach.error();
        }
        if (!allowed.contains(address)) {
            return makeError(EACCES, segment + " is at " + toString(address),
                             "MC_NVMEOF_GENERIC_ALLOWED_NETWORKS lists the networks that this node "
                             "connects to, and this address is in none of them");
        }
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
        const uint32_t nsid = nsidOf(file);
        if (!isNsid(file.id) || !isNsid(nsid) || file.size == 0 || file.size > kMaxFileBytes) {
            complain(segment + ": file " + std::to_string(file.id) + " of " +
                     std::to_string(file.size) +
                     " bytes is left out: neither its id nor its size may be 0 or out of range");
            continue;
        }
        RemoteFile remote{nsid,      file.size,          identityOf(file),
                          file.path, nsidIsItsToo(file), unitOf(file)};
        if (!checked.files.emplace(file.id, std::move(remote)).second) twice.insert(file.id);
    }
    for (uint32_t id : twice) {
        complain(segment + ": file " + std::to_string(id) +
                 " is left out: it is listed more than once");
        checked.files.erase(id);
    }
    tellApart(checked.files);
    return checked;
}

}  // namespace mooncake::nvmeof_generic
