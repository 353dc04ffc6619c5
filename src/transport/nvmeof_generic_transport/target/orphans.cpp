// SPDX-License-Identifier: Apache-2.0
#include "orphans.h"

#include <cerrno>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "bounded_call.h"
#include "claim.h"
#include "host.h"
#include "namespace.h"
#include "port.h"
#include "subsystem.h"
#include "transport/nvmeof_generic_transport/common/keep_library.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

struct Orphans {
    std::vector<std::shared_ptr<Subsystem>> subsystems;
    std::vector<Port::Own> ports;  // all ports of ours, used or not
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
    if (auto removed = Claim::removeStale(tree, treeLock.value(), nqns); !removed.ok()) {
        return removed.error();
    }
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
                         const std::vector<Port::Own>& ports, const std::function<void()>& step) {
    for (const Port::Own& port : ports) {
        const std::string link = Port::linkPath(tree, port.id, subsystem.nqn());
        if (const int code = unlessGone(tree.files->unlink(link)); code != 0) {
            return treeError(code, "cannot remove " + link);
        }
    }
    if (auto removed = Namespace::removeAll(tree, subsystem.nqn(), step); !removed.ok()) {
        return removed;
    }

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

/// The removal of one orphan, on a thread that shares it: the kernel may hold the thread for ever.
class OrphanRemoval {
 public:
    static std::shared_ptr<OrphanRemoval> start(const NvmetTree& tree,
                                                const std::shared_ptr<Subsystem>& subsystem,
                                                const std::vector<Port::Own>& ports) {
        auto removal = std::make_shared<OrphanRemoval>(tree.subsystem(subsystem->nqn()));
        removal->thread_ = std::thread([=] {
            const auto removed =
                removeSubsystem(tree, *subsystem, ports, [&] { removal->note(std::nullopt); });
            removal->note(removed);
        });
        return removal;
    }
    explicit OrphanRemoval(std::string path) : path_(std::move(path)) {}

    const std::string& path() const { return path_; }

    /// After wait().
    bool hangs() const { return hangs_; }

    Result<> wait(std::chrono::milliseconds limit) {
        std::unique_lock lock(mutex_);
        while (!result_) {
            const uint64_t seen = steps_;
            if (moved_.wait_for(lock, limit, [&] { return steps_ != seen; })) continue;
            hangs_ = true;
            thread_.detach();
            keepThisLibrary();
            return makeError(
                EBUSY, path_ + " of a dead target is not removed yet",
                "a disk that it exports does not end the I/O in flight; until it does, "
                "a write of before may still arrive on that disk");
        }
        lock.unlock();
        thread_.join();
        return *result_;
    }

 private:
    void note(const std::optional<Result<>>& result) {
        std::lock_guard guard(mutex_);
        ++steps_;
        result_ = result;
        moved_.notify_all();
    }

    const std::string path_;
    std::thread thread_;
    bool hangs_ = false;  // the waiting thread's
    std::mutex mutex_;    // of what follows
    std::condition_variable moved_;
    uint64_t steps_ = 0;
    std::optional<Result<>> result_;
};

// Whether another process has a subsystem that no port serves: it is being made or, for as long as
// its disks take, removed.
bool othersAreChanging(const NvmetTree& tree, const TreeLock& treeLock) {
    std::vector<std::string> nqns;
    const auto ports = Port::listOwn(tree);
    if (!ports.ok() || tree.files->list(tree.subsystems(), nqns) != 0) return true;
    for (const std::string& nqn : nqns) {
        if (!isOwnSubsystemNqn(nqn)) continue;
        bool served = false;
        for (const Port::Own& port : ports.value()) {
            served = served || tree.files->exists(Port::linkPath(tree, port.id, nqn)) == 0;
        }
        if (!served && Claim::lookAt(tree, treeLock, nqn).life != Life::kDead) return true;
    }
    return false;
}

void removeUnusedPlaces(const NvmetTree& tree, OrphanReport& report) {
    auto treeLock = TreeLock::acquire(tree);
    if (!treeLock.ok()) {
        report.failures.push_back(treeLock.error());
        return;
    }
    std::vector<SharedDir::Place> places;
    // The kernel waits with the removal of a port, any port, until every connection that was cut
    // has ended, and one with I/O on a hung disk does not; meanwhile nobody on this host can make
    // one. So ports wait for better times when somebody may be in such trouble.
    auto ports = Port::listOwn(tree);
    if (ports.ok() && !ports.value().empty() && !othersAreChanging(tree, treeLock.value())) {
        for (const Port::Own& port : ports.value()) places.push_back(Port::place(tree, port));
    }
    if (auto hosts = AllowedHost::listOwn(tree); hosts.ok()) {
        for (const std::string& nqn : hosts.value()) {
            places.push_back(AllowedHost::place(tree, nqn));
        }
    }
    for (const SharedDir::Place& place : places) {
        const auto removed = SharedDir::removeUnused(tree, treeLock.value(), place, ProcessFd());
        if (removed.ok()) {
            report.removed.push_back(place.path);
        } else if (removed.error().code != EBUSY) {
            report.failures.push_back(removed.error());
        }
    }
}

}  // namespace

OrphanReport removeOrphans(const NvmetTree& tree, std::chrono::milliseconds limit) {
    OrphanReport report;
    auto orphans = claimOrphans(tree);
    if (!orphans.ok()) {
        report.failures.push_back(
            {orphans.error().code,
             "cannot look for what dead targets left: " + orphans.error().message});
        return report;
    }
    // All at a time: those whose disks hang are waited for together.
    std::vector<std::shared_ptr<OrphanRemoval>> removals;
    for (const auto& subsystem : orphans.value().subsystems) {
        removals.push_back(OrphanRemoval::start(tree, subsystem, orphans.value().ports));
    }
    bool hangs = false;
    for (const auto& removal : removals) {
        const auto removed = removal->wait(limit);
        if (removed.ok()) {
            report.removed.push_back(removal->path());
        } else {
            hangs = hangs || removal->hangs();
            report.failures.push_back(removed.error());
        }
    }
    // Those that stay are nobody's again: removeUnusedPlaces() must not take them for somebody
    // else's.
    orphans.value().subsystems.clear();
    if (hangs) return report;
    auto places = std::make_shared<OrphanReport>();
    if (!endsWithin(limit, [tree, places] { removeUnusedPlaces(tree, *places); })) {
        report.failures.push_back(
            makeError(EBUSY, "cannot remove the ports of dead targets yet",
                      "a connection that was cut has I/O on a disk that hangs"));
        return report;
    }
    report.removed.insert(report.removed.end(), places->removed.begin(), places->removed.end());
    report.failures.insert(report.failures.end(), places->failures.begin(), places->failures.end());
    return report;
}

}  // namespace mooncake::nvmeof_generic
