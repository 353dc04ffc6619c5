// SPDX-License-Identifier: Apache-2.0
#include "rehearsal.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "access_options.h"
#include "environment.h"
#include "host_proof.h"
#include "transport/nvmeof_generic_transport/common/endpoint.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/target/access_plan.h"
#include "transport/nvmeof_generic_transport/target/listen_check.h"
#include "transport/nvmeof_generic_transport/target/nvmet_tree.h"

namespace mooncake::file_server {

using namespace nvmeof_generic;

namespace {

NvmetTree treeOf(const Machine& machine) {
    return {makePosixConfigTree(), machine.configfs + "/nvmet"};
}

const CheckCode& accessCode(AccessPlan::Step step) {
    switch (step) {
        case AccessPlan::Step::kAddress:
            return codes::kAddressMalformed;
        case AccessPlan::Step::kHosts:
            return codes::kHostsUnusable;
        case AccessPlan::Step::kKeys:
            break;
    }
    return codes::kKeysUnusable;
}

std::string hostsSubject(const TargetOptions& target) {
    return target.allowedHostsFile.empty() ? "allowed_hosts" : target.allowedHostsFile;
}

Finding judgeHosts(const AccessPlan& plan, const TransportAddresses& addresses,
                   const TargetOptions& target) {
    if (plan.anyHost && !std::all_of(addresses.begin(), addresses.end(), isLoopback)) {
        return Finding::warning(codes::kHostsAnybody, "allow_any_host",
                                "any host that reaches the port may read and write the files");
    }
    if (plan.anyHost) {
        return Finding::ok(codes::kHosts, "allow_any_host", "any program of this machine");
    }
    if (plan.hosts.empty()) {
        return Finding::warning(codes::kHostsNobody, hostsSubject(target),
                                "it lists no host: nobody may connect");
    }
    return Finding::ok(codes::kHosts, hostsSubject(target),
                       std::to_string(plan.hosts.size()) + " hosts may connect");
}

Finding judgeKeys(const AccessPlan& plan, const Machine& machine, const TargetOptions& target) {
    admin::Roots roots;
    roots.sys = machine.sys;
    if (const auto can = admin::canAuthenticate(roots, "nvmet"); can && !*can) {
        return Finding::from(codes::kKeysUnsupported, target.dhchapKeys,
                             {EOPNOTSUPP, "this kernel's target cannot authenticate hosts"});
    }
    return Finding::ok(codes::kKeys, target.dhchapKeys,
                       std::to_string(plan.hosts.size()) + " hosts have a key");
}

Finding judgeAddress(const TransportAddress& address, const Result<>& listened, bool anotherWorks) {
    if (listened.ok()) {
        return Finding::ok(codes::kAddress, toString(address), "it can be listened at");
    }
    const int code = listened.error().code;
    if (code == EADDRNOTAVAIL && anotherWorks) {
        return Finding::warning(codes::kAddressNotLocal, toString(address),
                                "this host does not have it; it is added when it comes");
    }
    return Finding::from(code == EADDRNOTAVAIL ? codes::kAddressNotLocal
                         : code == EADDRINUSE  ? codes::kAddressInUse
                                               : codes::kAddressUnusable,
                         toString(address), listened.error());
}

Finding judgeKernel(const Machine& machine, const TransportAddresses& addresses) {
    const NvmetTree tree = treeOf(machine);
    for (const TransportAddress& address : addresses) {
        const auto usable = checkUsable(tree, address.trtype);
        if (!usable.ok()) return Finding::from(codes::kKernelTarget, tree.root, usable.error());
    }
    if (::access(tree.subsystems().c_str(), R_OK | W_OK) != 0) {
        return Finding::from(codes::kKernelTarget, tree.root,
                             treeError(errno, "cannot change " + tree.subsystems()));
    }
    return Finding::ok(codes::kKernel, tree.root, "the kernel's NVMe target can be used");
}

Finding judgeStats(const std::string& file) {
    const std::string folder = file.substr(0, std::max<size_t>(file.rfind('/'), 1));
    if (::access(folder.c_str(), W_OK | X_OK) == 0) {
        return Finding::ok(codes::kStats, file, "counters can be written");
    }
    return Finding::from(codes::kStatsUnwritable, file,
                         makeError(errno, "cannot write into " + inQuotes(folder),
                                   "MC_NVMEOF_GENERIC_STATS_FILE names it"));
}

}  // namespace

Findings rehearseServer(const ServerConfig& config, const Machine& machine,
                        const char* const* environment, std::optional<TargetOptions>* options) {
    Findings found;
    // As the transport does when it is installed.
    auto wished = readEnvironment(environment);
    if (!wished.ok()) {
        return {Finding::from(codes::kEnvironmentMalformed, "environment", wished.error())};
    }
    found.push_back(Finding::ok(codes::kEnvironment, "environment", "no option is malformed"));
    TargetOptions target = wished.value().target;
    const auto addresses = readArguments(transportArguments(config), target);
    if (!addresses.ok()) {
        found.push_back(Finding::from(codes::kConfigMalformed, "configuration", addresses.error()));
        return found;
    }
    const TransportAddresses& listen = addresses.value().listen;
    target.nvmetRoot = machine.configfs + "/nvmet";
    target.devRoot = machine.dev;
    if (options != nullptr) *options = target;

    AccessPlan::Step step{};
    const auto plan = AccessPlan::make(listen, target, &step);
    if (plan.ok()) {
        found.push_back(judgeHosts(plan.value(), listen, target));
        if (!target.dhchapKeys.empty()) {
            found.push_back(judgeKeys(plan.value(), machine, target));
        }
    } else {
        const std::string subject = step == AccessPlan::Step::kKeys    ? target.dhchapKeys
                                    : step == AccessPlan::Step::kHosts ? hostsSubject(target)
                                                                       : toString(listen);
        found.push_back(Finding::from(accessCode(step), subject, plan.error()));
    }
    std::vector<Result<>> listened;
    for (const TransportAddress& address : listen) {
        listened.push_back(checkListen(treeOf(machine), address));
    }
    const bool anyWorks = std::any_of(listened.begin(), listened.end(),
                                      [](const Result<>& result) { return result.ok(); });
    for (size_t i = 0; i < listen.size(); ++i) {
        found.push_back(judgeAddress(listen[i], listened[i], anyWorks));
    }
    found.push_back(judgeKernel(machine, listen));
    if (const std::string& file = wished.value().statsFile; !file.empty()) {
        found.push_back(judgeStats(file));
    }
    return found;
}

}  // namespace mooncake::file_server
