// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/target/target.h"

#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "bounded_call.h"
#include "endpoint.h"
#include "file_exports.h"
#include "host.h"
#include "keep_library.h"
#include "nvmet_tree.h"
#include "orphans.h"
#include "port.h"
#include "subsystem.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

/// Everything a target made in the tree. The members go in reverse order, which is the one that the
/// kernel wants; the subsystem's link from the port goes before all of them.
struct Objects {
    std::unique_ptr<Port> port;
    std::unique_ptr<Subsystem> subsystem;
    std::vector<std::unique_ptr<AllowedHost>> hosts;
    std::unique_ptr<FileExports> files;

    ~Objects() {
        if (port == nullptr) return;
        if (const auto cut = port->unlink(); !cut.ok()) LOG(ERROR) << cut.error().message;
    }
};

class NvmetTarget final : public Target {
 public:
    NvmetTarget(const TransportAddress& address, std::unique_ptr<Objects> objects,
                std::chrono::milliseconds removalLimit)
        : address_(address), removalLimit_(removalLimit), objects_(std::move(objects)) {}

    ~NvmetTarget() override {
        if (getpid() != owner_) {
            // A forked process has copies of all this, but the objects are its parent's.
            static_cast<void>(objects_.release());
            return;
        }
        if (const auto cut = objects_->port->unlink(); !cut.ok()) LOG(ERROR) << cut.error().message;
        if (const auto removed = objects_->files->removeAll(); !removed.ok()) {
            LOG(ERROR) << "Subsystem " << subsystemNqn()
                       << " is left behind for now: " << removed.error().message;
            keepThisLibrary();
            FileExports& files = *objects_->files;
            files.handOver(std::move(objects_));
            return;
        }
        const std::string name = subsystemNqn();
        std::shared_ptr<Objects> objects = std::move(objects_);
        // The removal of a port waits for connections to end, also those of other targets.
        if (!endsWithin(removalLimit_,
                        [objects = std::move(objects)]() mutable { objects.reset(); })) {
            LOG(ERROR) << "Subsystem " << name
                       << " or its port is left behind for now: a connection "
                       << "that was cut, of this target or another, has I/O on a disk that hangs";
        }
    }

    const std::string& subsystemNqn() const override { return objects_->subsystem->nqn(); }
    const TransportAddress& address() const override { return address_; }

    Result<ExportedFile> addFile(uint32_t nsid, const std::string& path, uint64_t size) override {
        return objects_->files->add(nsid, path, size);
    }
    Result<> removeFile(uint32_t nsid) override { return objects_->files->remove(nsid); }
    bool exports(uint32_t nsid) override { return objects_->files->contains(nsid); }

 private:
    const TransportAddress address_;
    const std::chrono::milliseconds removalLimit_;
    const pid_t owner_ = getpid();
    std::unique_ptr<Objects> objects_;
};

void logOrphans(const OrphanReport& report) {
    for (const std::string& path : report.removed) {
        LOG(WARNING) << "Removed " << path << ", which a dead target left behind";
    }
    for (const Error& failure : report.failures) LOG(WARNING) << failure.message;
}

Result<> checkHosts(const std::vector<std::string>& hosts) {
    for (const std::string& host : hosts) {
        if (auto checked = checkNqn(host); !checked.ok()) {
            return makeError(EINVAL, "allowed host: " + checked.error().message);
        }
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Target>> Target::start(const TransportAddress& address,
                                              const TargetOptions& options,
                                              std::shared_ptr<ConfigTree> tree) {
    if (auto checked = checkAddress(address); !checked.ok()) return checked.error();
    if (auto checked = checkHosts(options.allowedHosts); !checked.ok()) return checked.error();
    const NvmetTree nvmet{tree ? std::move(tree) : makePosixConfigTree(), options.nvmetRoot};
    if (auto usable = checkUsable(nvmet, address.trtype); !usable.ok()) return usable.error();
    logOrphans(removeOrphans(nvmet, options.removalLimit));

    const std::set<std::string> hosts(options.allowedHosts.begin(), options.allowedHosts.end());
    auto objects = std::make_unique<Objects>();
    auto port = Port::acquire(nvmet, address);
    if (!port.ok()) return port.error();
    objects->port = port.take();
    auto subsystem = Subsystem::create(nvmet, newSubsystemNqn(), hosts.empty());
    if (!subsystem.ok()) return subsystem.error();
    objects->subsystem = subsystem.take();
    const std::string& nqn = objects->subsystem->nqn();
    for (const std::string& host : hosts) {
        auto allowed = AllowedHost::allow(nvmet, nqn, host);
        if (!allowed.ok()) return allowed.error();
        objects->hosts.push_back(allowed.take());
    }
    objects->files = std::make_unique<FileExports>(nvmet, nqn, options);
    // Last: from here on remote hosts see the subsystem.
    if (auto linked = objects->port->link(nqn); !linked.ok()) return linked.error();

    if (hosts.empty() && !isLoopback(address)) {
        LOG(WARNING) << "Any host that reaches " << toString(address)
                     << " may read and write the files registered here: no allowed hosts are given";
    }
    LOG(INFO) << "Serving subsystem " << nqn << " at " << toString(address);
    return std::unique_ptr<Target>(
        std::make_unique<NvmetTarget>(address, std::move(objects), options.removalLimit));
}

}  // namespace mooncake::nvmeof_generic
