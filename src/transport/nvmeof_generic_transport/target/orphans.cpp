// SPDX-License-Identifier: Apache-2.0
#include "orphans.h"

#include <cerrno>
#include <memory>
#include <vector>

#include "host.h"
#include "namespace.h"
#include "port.h"
#include "subsystem.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

struct Orphans {
    std::vector<std::unique_ptr<Subsystem>> subsystems;
    std::vector<std::string> ports;  // the ids of all ports of ours, used or not
};

// With their own locks taken, the orphans can be removed after the TreeLock is given up.
Result<Orphans> claimOrphans(const NvmetTree& tree) {
    auto treeLock = TreeLock::acquire(tree);
    if (!treeLock.ok()) return treeLock.error();
    std::vector<std::string> nqns;
    if (const int code = tree.files->list(tree.subsystems(), nqns); code != 0) {
        return treeError(code, "cannot list " + tree.subsystems());
    }
    Orphans orphans;
    for (const std::string& nqn : nqns) {
        if (!isOwnSubsystemNqn(nqn)) continue;
        auto claimed = Subsystem::claim(tree, treeLock.value(), nqn);
        if (claimed.ok()) orphans.subsystems.push_back(claimed.take());
    }
    auto ports = Port::listOwn(tree);
    if (!ports.ok()) return ports.error();
    orphans.ports = ports.take();
    return orphans;
}

Result<> removeSubsystem(const NvmetTree& tree, Subsystem& subsystem,
                         const std::vector<std::string>& ports) {
    for (const std::string& id : ports) {
        const std::string link = Port::linkPath(tree, id, subsystem.nqn());
        if (const int code = unlessGone(tree.files->unlink(link)); code != 0) {
            return treeError(code, "cannot remove " + link);
        }
    }
    if (auto removed = Namespace::removeAll(tree, subsystem.nqn()); !removed.ok()) return removed;

    const std::string folder = tree.subsystem(subsystem.nqn()) + "/allowed_hosts";
    std::vector<std::string> hosts;
    if (const int code = unlessGone(tree.files->list(folder, hosts)); code != 0) {
        return treeError(code, "cannot list " + folder);
    }
    for (const std::string& host : hosts) {
        if (const int code = unlessGone(tree.files->unlink(folder + "/" + host)); code != 0) {
            return treeError(code, "cannot remove " + folder + "/" + host);
        }
    }
    return subsystem.remove();
}

void removeUnusedPlaces(const NvmetTree& tree, OrphanReport& report) {
    auto treeLock = TreeLock::acquire(tree);
    if (!treeLock.ok()) {
        report.failures.push_back(treeLock.error());
        return;
    }
    std::vector<SharedDir::Place> places;
    if (auto ports = Port::listOwn(tree); ports.ok()) {
        for (const std::string& id : ports.value()) places.push_back(Port::place(tree, id));
    }
    if (auto hosts = AllowedHost::listOwn(tree); hosts.ok()) {
        for (const std::string& nqn : hosts.value()) {
            places.push_back(AllowedHost::place(tree, nqn));
        }
    }
    for (const SharedDir::Place& place : places) {
        const auto removed = SharedDir::removeUnused(tree, treeLock.value(), place, UniqueFd());
        if (removed.ok()) {
            report.removed.push_back(place.path);
        } else if (removed.error().code != EBUSY) {
            report.failures.push_back(removed.error());
        }
    }
}

}  // namespace

OrphanReport removeOrphans(const NvmetTree& tree) {
    OrphanReport report;
    auto orphans = claimOrphans(tree);
    if (!orphans.ok()) {
        report.failures.push_back(
            {orphans.error().code,
             "cannot look for what dead targets left: " + orphans.error().message});
        return report;
    }
    for (const auto& subsystem : orphans.value().subsystems) {
        const auto removed = removeSubsystem(tree, *subsystem, orphans.value().ports);
        if (removed.ok()) {
            report.removed.push_back(tree.subsystem(subsystem->nqn()));
        } else {
            report.failures.push_back(removed.error());
        }
    }
    removeUnusedPlaces(tree, report);
    return report;
}

}  // namespace mooncake::nvmeof_generic
