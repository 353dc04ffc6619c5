// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/target/target.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "access_plan.h"
#include "bounded_thread.h"
#include "file_exports.h"
#include "host_access.h"
#include "host_file.h"
#include "nvmet_tree.h"
#include "orphans.h"
#include "ports.h"
#include "service_watch.h"
#include "subsystem.h"
#include "transport/nvmeof_generic_transport/common/endpoint.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

/// Everything a target made in the tree. The members go in reverse order, which is the one that the
/// kernel wants; the subsystem's links from the ports go before all of them.
struct Objects {
    std::unique_ptr<Ports> ports;
    std::unique_ptr<Subsystem> subsystem;
    std::unique_ptr<HostAccess> hosts;  // null: any host may connect
    std::unique_ptr<HostFileWatch> hostFile;
    std::unique_ptr<FileExports> files;
    std::unique_ptr<ServiceWatch> watch;

    ~Objects() {
        stopWatching();
        if (ports == nullptr) return;
        if (const auto cut = ports->unlink(); !cut.ok()) LOG(ERROR) << cut.error().message;
    }
    void stopWatching() {
        watch.reset();     // which would miss what is removed
        hostFile.reset();  // which would link the ports again
    }
};

class NvmetTarget final : public Target {
 public:
    /// @param remover  that the objects have
    NvmetTarget(TransportAddresses addresses, std::unique_ptr<BoundedThread> remover,
                std::unique_ptr<Objects> objects, std::chrono::milliseconds removalLimit)
        : addresses_(std::move(addresses)),
          removalLimit_(removalLimit),
          remover_(std::move(remover)),
          objects_(std::move(objects)) {}

    ~NvmetTarget() override {
        if (getpid() != owner_) {
            // A forked process has copies of all this, but the objects are its parent's.
            static_cast<void>(objects_.release());
            static_cast<void>(remover_.release());
            return;
        }
        NvmetTarget::cutOff();
        const std::string name = subsystemNqn();
        const auto removed = objects_->files->removeAll();
        FileExports& files = *objects_->files;
        files.handOver(std::move(objects_));
        if (!removed.ok()) {
            LOG(ERROR) << "Subsystem " << name
                       << " is left behind for now: " << removed.error().message;
        } else if (!remover_->endsWithin(removalLimit_)) {
            // The removal of a port waits for connections to end, also those of other targets.
            LOG(ERROR) << "Subsystem " << name
                       << " or its port is left behind for now: a connection "
                       << "that was cut, of this target or another, has I/O on a disk that hangs";
        }
    }

    const std::string& subsystemNqn() const override { return objects_->subsystem->nqn(); }
    const TransportAddresses& addresses() const override { return addresses_; }

    Result<ExportedFile> addFile(uint32_t nsid, const std::string& path, uint64_t size,
                                 const FileRules& rules) override {
        return objects_->files->add(nsid, path, size, rules);
    }
    void cutOff() override {
        if (getpid() != owner_) return;  // the objects are the parent's
        objects_->stopWatching();
        if (const auto cut = objects_->ports->unlink(); !cut.ok())
            LOG(ERROR) << cut.error().message;
    }
    Result<> removeFile(uint32_t nsid) override { return objects_->files->remove(nsid); }
    bool exports(uint32_t nsid) override { return objects_->files->contains(nsid); }
    Result<LocalFile> openLocally(uint32_t nsid, int openFlags) override {
        return objects_->files->openLocally(nsid, openFlags);
    }
    TargetCounts counts() override {
        TargetCounts counts = objects_->files->counts();
        counts.anyHost = objects_->hosts == nullptr;
        if (objects_->hosts) counts.allowedHosts = objects_->hosts->hosts().size();
        return counts;
    }
    Result<> setAllowedHosts(const std::vector<std::string>& hosts) override;

 private:
    const TransportAddresses addresses_;
    const std::chrono::milliseconds removalLimit_;
    const pid_t owner_ = getpid();
    std::unique_ptr<BoundedThread> remover_;
    std::unique_ptr<Objects> objects_;
};

void logOrphans(const OrphanReport& report) {
    for (const std::string& path : report.removed) {
        LOG(WARNING) << "Removed " << path << ", which a dead target left behind";
    }
    for (const Error& failure : report.failures) LOG(WARNING) << failure.message;
}

// What the file's watch does at a change. @return whether there is nothing left to do
bool readHostsAgain(const std::string& path, PathCheck check, Objects& objects,
                    std::string& lastFailure) {
    const auto wanted = readHostFile(path, check);
    if (!wanted.ok()) {
        LOG(ERROR) << "The hosts that may connect to " << objects.subsystem->nqn()
                   << " stay as they are: " << wanted.error().message;
        return true;
    }
    if (auto set = objects.hosts->set(wanted.value(), *objects.ports); !set.ok()) {
        // Tried once a second; told once.
        if (set.error().message != lastFailure) {
            LOG(ERROR) << "The change of " << path
                       << " is not in force yet: " << set.error().message;
        }
        lastFailure = set.error().message;
        return false;
    }
    lastFailure.clear();
    LOG(INFO) << wanted.value().size() << " hosts may connect to " << objects.subsystem->nqn();
    return true;
}

Result<> NvmetTarget::setAllowedHosts(const std::vector<std::string>& hosts) {
    if (!objects_->hosts) {
        return makeError(EINVAL, "cannot change who may connect to " + subsystemNqn(),
                         "it was started without a list of allowed hosts");
    }
    if (objects_->hostFile) {
        return makeError(EINVAL, "cannot change who may connect to " + subsystemNqn(),
                         "its file of allowed hosts says so: change that");
    }
    auto wanted = checkHosts(hosts);
    if (!wanted.ok()) return wanted.error();
    return objects_->hosts->set(wanted.value(), *objects_->ports);
}

}  // namespace

Result<std::unique_ptr<Target>> Target::start(const TransportAddresses& addresses,
                                              const TargetOptions& options,
                                              std::shared_ptr<ConfigTree> tree) {
    const auto access = AccessPlan::make(addresses, options);
    if (!access.ok()) return access.error();
    const bool anyHost = access.value().anyHost;
    // Before anything is made: nothing stays behind for want of a thread.
    auto remover = BoundedThread::start("nvmeof-remove");
    if (!remover.ok()) return remover.error();
    auto objects = std::make_unique<Objects>();
    const std::string& hostFile = options.allowedHostsFile;
    if (!hostFile.empty()) {
        // Before it is read for good: no change goes unnoticed.
        auto watch = HostFileWatch::create(hostFile);
        if (!watch.ok()) return watch.error();
        objects->hostFile = watch.take();
    }
    const auto hosts = readHosts(options);
    if (!hosts.ok()) return hosts.error();
    const NvmetTree nvmet{tree ? std::move(tree) : makePosixConfigTree(), options.nvmetRoot};
    for (const TransportAddress& address : addresses) {
        if (auto usable = checkUsable(nvmet, address.trtype); !usable.ok()) return usable.error();
    }
    logOrphans(removeOrphans(nvmet, options.removalLimit));

    auto ports = Ports::acquire(nvmet, addresses, {options.removalLimit, options.addressInterval});
    if (!ports.ok()) return ports.error();
    objects->ports = ports.take();
    auto subsystem = Subsystem::create(nvmet, newSubsystemNqn(), anyHost);
    if (!subsystem.ok()) return subsystem.error();
    objects->subsystem = subsystem.take();
    const std::string& nqn = objects->subsystem->nqn();
    if (!anyHost) {
        objects->hosts =
            std::make_unique<HostAccess>(nvmet, nqn, options.dhchapKeys, options.pathCheck);
        if (auto set = objects->hosts->set(hosts.value(), *objects->ports); !set.ok()) {
            return set.error();
        }
    }
    objects->files = std::make_unique<FileExports>(nvmet, nqn, options, *remover.value());
    // Last: from here on remote hosts see the subsystem.
    if (auto linked = objects->ports->link(nqn); !linked.ok()) return linked.error();

    if (anyHost && !std::all_of(addresses.begin(), addresses.end(), isLoopback)) {
        LOG(WARNING) << "Any host that reaches " << toString(addresses)
                     << " may read and write the files registered here: no allowed hosts are given";
    }
    auto watch = ServiceWatch::start(nvmet, nqn, objects->hosts.get(), *objects->ports,
                                     *objects->files, options.lookInterval, options.removalLimit);
    if (!watch.ok()) return watch.error();
    objects->watch = watch.take();
    LOG(INFO) << "Serving subsystem " << nqn << " at " << toString(addresses);
    if (objects->hostFile) {
        auto started =
            objects->hostFile->start([hostFile, check = options.pathCheck, &all = *objects,
                                      lastFailure = std::string()]() mutable {
                return readHostsAgain(hostFile, check, all, lastFailure);
            });
        if (!started.ok()) return started.error();
    }
    return std::unique_ptr<Target>(std::make_unique<NvmetTarget>(
        addresses, remover.take(), std::move(objects), options.removalLimit));
}

}  // namespace mooncake::nvmeof_generic
