// SPDX-License-Identifier: Apache-2.0
#include "file_exports.h"

#include <glog/logging.h>

#include <cerrno>

#include "export_plan.h"
#include "file_space.h"
#include "loop_device.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

// NVMET_MAX_NAMESPACES in drivers/nvme/target/nvmet.h.
constexpr size_t kMaxFiles = 1024;
constexpr uint32_t kMaxNsid = 0xfffffffe;  // the one above means all namespaces

}  // namespace

FileExports::FileExports(const NvmetTree& tree, std::string subsystemNqn,
                         const TargetOptions& options)
    : tree_(tree),
      subsystemNqn_(std::move(subsystemNqn)),
      options_(options),
      record_(subsystemNqn_, options.segment) {}

Result<ExportedFile> FileExports::add(uint32_t nsid, const std::string& path, uint64_t size) {
    if (nsid == 0 || nsid > kMaxNsid) {
        return makeError(EINVAL,
                         "cannot export " + quoted(path) + " as namespace " + std::to_string(nsid));
    }
    auto opened = BackingFile::open(path, options_.exportBusyDevices);
    if (!opened.ok()) return opened.error();
    BackingFile file = opened.take();
    if (auto reserved = reserve(nsid, file); !reserved.ok()) return reserved.error();

    std::unique_ptr<Namespace> ns;
    auto exported = exportFile(nsid, file, size, ns);
    if (!exported.ok()) {
        ns.reset();  // before its place is given up
        forget(nsid);
        return exported;
    }
    record_.put(nsid, openFileName(file.fd()), exported.value().size);
    std::lock_guard guard(mutex_);
    Export& entry = exports_.at(nsid);
    entry.ns = std::move(ns);
    if (file.identity().blockDevice) entry.claim = std::move(file);
    entry.changing = false;
    return exported;
}

// Enters the file, as one that is being added, unless it or its nsid is taken.
Result<> FileExports::reserve(uint32_t nsid, const BackingFile& file) {
    const std::string what =
        "cannot export " + quoted(file.path()) + " as namespace " + std::to_string(nsid);
    std::lock_guard guard(mutex_);
    if (used_.contains(nsid) || exports_.contains(nsid)) {
        return makeError(EEXIST, what,
                         "the id was used before and would be mistaken for that file");
    }
    if (const auto other = nsidOf_.find(file.identity()); other != nsidOf_.end()) {
        return makeError(EEXIST, what,
                         "it is exported already, as namespace " + std::to_string(other->second) +
                             " under the name " + quoted(exports_.at(other->second).path));
    }
    if (exports_.size() >= kMaxFiles) {
        return makeError(EMFILE, what, "the kernel exports at most 1024 files of one segment");
    }
    exports_[nsid] = Export{file.path(), file.identity(), true, nullptr, std::nullopt};
    nsidOf_[file.identity()] = nsid;
    return {};
}

void FileExports::forget(uint32_t nsid) {
    std::lock_guard guard(mutex_);
    const auto entry = exports_.find(nsid);
    nsidOf_.erase(entry->second.identity);
    exports_.erase(entry);
}

Result<ExportedFile> FileExports::exportFile(uint32_t nsid, const BackingFile& file, uint64_t size,
                                             std::unique_ptr<Namespace>& ns) {
    const std::string name = quoted(file.path());
    auto planned = planExport(file.geometry(), size, name);
    if (!planned.ok()) return planned.error();
    const ExportPlan& plan = planned.value();
    if (plan.size != size) {
        LOG(WARNING) << "Of " << size << " bytes of " << name << " only " << plan.size
                     << " are exported: whole blocks of " << plan.blockSize << " bytes";
    }
    if (!file.identity().blockDevice) {
        auto reserved = reserveSpace(file.fd(), plan.size, name);
        if (!reserved.ok()) return reserved.error();
    }

    Namespace::Settings settings{nsid, namespaceUuid(subsystemNqn_, nsid), procPath(file.fd()),
                                 !file.directIo(), name};
    std::optional<LoopDevice> loop;
    if (plan.throughLoop) {
        auto attached = LoopDevice::attach(file.fd(), plan.size, plan.blockSize, file.directIo(),
                                           options_.devRoot);
        if (!attached.ok()) return attached.error();
        loop = attached.take();
        settings.devicePath = procPath(loop->fd());
        settings.bufferedIo = false;
    }
    auto created = Namespace::create(tree_, subsystemNqn_, settings);
    if (!created.ok()) return created.error();
    ns = created.take();
    {
        // From now on a remote host may know the nsid, and nothing else may go by it.
        std::lock_guard guard(mutex_);
        used_.insert(nsid);
    }
    if (!file.sizeUnchanged()) {
        return makeError(ESTALE, "cannot export " + name,
                         "its size changed in the middle; register it again when it is at rest");
    }
    return ExportedFile{nsid, file.path(), plan.size, plan.blockSize};
}

Result<> FileExports::remove(uint32_t nsid) {
    Namespace* ns = nullptr;
    {
        std::lock_guard guard(mutex_);
        const auto entry = exports_.find(nsid);
        if (entry == exports_.end()) {
            return makeError(ENOENT, "namespace " + std::to_string(nsid) + " is not exported");
        }
        if (entry->second.changing) {
            return makeError(EBUSY, "cannot remove " + quoted(entry->second.path),
                             "another call is adding or removing it");
        }
        entry->second.changing = true;
        ns = entry->second.ns.get();
    }
    auto removed = ns->remove();
    if (removed.ok()) {
        record_.remove(nsid);
        forget(nsid);
    } else {
        std::lock_guard guard(mutex_);
        exports_.at(nsid).changing = false;
    }
    return removed;
}

}  // namespace mooncake::nvmeof_generic
