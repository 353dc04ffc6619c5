// SPDX-License-Identifier: Apache-2.0
#include "orphans.h"

#include <cerrno>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "bounded_thread.h"
#include "claim.h"
#include "host.h"
#include "namespace.h"
#include "port.h"
#include "subsystem.h"
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
    /// @return as startThread()
    static Result<std::unique_ptr<OrphanRemoval>> start(const NvmetTree& tree,
                                                        const std::shared_ptr<Subsystem>& subsystem,
                                                        const std::vector<Port::Own>& ports) {
        auto thread = BoundedThread::start("nvmeof-orphan");
        if (!thread.ok()) return thread.error();
        auto state = std::make_shared<State>();
        thread.value()->run([=] {
            const auto removed =
                removeSubsystem(tree, *subsystem, ports, [&] { state->note(std::nullopt); });
            state->note(removed);
        });
        return std::unique_ptr<OrphanRemoval>(
            new OrphanRemoval(tree.subsystem(subsystem->nqn()), std::move(state), thread.take()));
    }

    const std::string& path() const { return path_; }

    /// After wait().
    bool hangs() const { return hangs_; }

    Result<> wait(std::chrono::milliseconds limit) {
        std::unique_lock lock(state_->mutex);
        while (!state_->result) {
            const uint64_t seen = state_->steps;
            if (state_->moved.wait_for(lock, limit, [&] { return state_->steps != seen; })) {
                continue;
            }
            hangs_ = true;
            return makeError(
                EBUSY, path_ + " of a dead target is not removed yet",
                "a disk that it exports does not end the I/O in flight; until it does, "
                "a write of before may still arrive on that disk");
        }
        const Result<> result = *state_->result;
        lock.unlock();
        static_cast<void>(thread_->endsWithin(limit));  // it has but to let go of what it had
        return result;
    }

 private:
    struct State {
        std::mutex mutex;  // of what follows
        std::condition_variable moved;
        uint64_t steps = 0;
        std::optional<Result<>> result;

        void note(const std::optional<Result<>>& last) {
            std::lock_guard guard(mutex);
            ++steps;
            result = last;
            moved.notify_all();
        }
    };

    OrphanRemoval(std::string path, std::shared_ptr<State> state,
                  std::unique_ptr<BoundedThread> thread)
        : path_(std::move(path)), state_(std::move(state)), thread_(std::move(thread)) {}

    const std::string path_;
    const std::shared_ptr<State> state_;
    const std::unique_ptr<BoundedThread> thread_;
    bool hangs_ = false;
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
    std::vector<std::unique_ptr<OrphanRemoval>> removals;
    for (const auto& subsystem : orphans.value().subsystems) {
        auto started = OrphanRemoval::start(tree, subsystem, orphans.value().ports);
        if (started.ok()) {
            removals.push_back(started.take());
        } else {
            report.failures.push_back(
                {started.error().code, "cannot remove " + tree.subsystem(subsystem->nqn()) +
                                           " of a dead target: " + started.error().message});
        }
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
    auto thread = BoundedThread::start("nvmeof-ports");
    if (!thread.ok()) {
        report.failures.push_back(
            {thread.error().code,
             "cannot remove the ports of dead targets: " + thread.error().message});
        return report;
    }
    auto places = std::make_shared<OrphanReport>();
    thread.value()->run([tree, places] { removeUnusedPlaces(tree, *places); });
    if (!thread.value()->endsWithin(limit)) {
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
