// SPDX-License-Identifier: Apache-2.0
// Files that this node exports.
#include <glog/logging.h>

#include <cerrno>
#include <string>

#include "engine_error.h"
#include "transport_parts.h"

namespace mooncake {

using namespace nvmeof_generic;

namespace {

// Other engines' descriptors have no uuid.
template <class File>
void setUuid(File& file, const std::string& uuid) {
    if constexpr (requires { file.uuid; }) file.uuid = uuid;
}

}  // namespace

int NVMeoFGenericTransport::registerLocalFile(FileBufferID id, const std::string& path,
                                              size_t size) {
    return exportLocalFile(id, path, size, LocalFileOptions{});
}

int NVMeoFGenericTransport::exportLocalFile(FileBufferID id, const std::string& path, size_t size,
                                            const LocalFileOptions& options) {
    if (inherited()) return ERR_CONTEXT;
    if (!parts_ || !parts_->target) {
        return report("register " + path,
                      makeError(EINVAL, "this node exports nothing",
                                "give installTransport the address to export at in args[0]"));
    }
    const FileRules rules{options.read_only, options.check_path ? PathCheck::kOn : PathCheck::kOff};
    auto exported = parts_->target->addFile(id, path, size, rules);
    if (!exported.ok()) return report("register " + path, exported.error());
    const ExportedFile& file = exported.value();
    TransferMetadata::FileBufferDesc published{};
    published.id = id;
    published.path = path;
    published.size = file.size;
    published.align = file.blockSize;
    setUuid(published, file.uuid);
    if (int error = parts_->publications.note(metadata_->addFileBuffer(published, true));
        error != 0) {
        LOG(ERROR) << kProtocol << ": register " << path
                   << ": the file could not be published: is the metadata service reachable?";
        metadata_->removeFileBuffer(id, false);
        if (auto removed = parts_->target->removeFile(id); !removed.ok()) {
            report("take back " + path, removed.error());
        }
        return error;
    }
    // Lost again before it was in the record, from which it was to be taken.
    if (!parts_->target->exports(id)) {
        parts_->withdraw(id);
        LOG(ERROR) << kProtocol << ": register " << path
                   << ": it changed meanwhile; register it again when it is at rest";
        return ERR_CONTEXT;
    }
    return 0;
}

int NVMeoFGenericTransport::unregisterLocalFile(FileBufferID id) {
    if (inherited()) return ERR_CONTEXT;
    if (!parts_ || !parts_->target) {
        return report("unregister file " + std::to_string(id),
                      makeError(ENOENT, "this node exports nothing"));
    }
    // Withdrawn first, so that nobody new asks for it. Where that fails the export still ends: that
    // is what the caller needs, and an initiator that comes by the old record is told that the
    // namespace is gone.
    const int error = metadata_->removeFileBuffer(id, true);
    if (error != ERR_ADDRESS_NOT_REGISTERED && parts_->publications.note(error) != 0) {
        LOG(ERROR) << kProtocol << ": file " << id
                   << " is still in the published descriptor: is the metadata service reachable?";
    }
    const bool quiet = parts_->endLocalAccess(id, parts_->options.target.removalLimit);
    auto removed = parts_->target->removeFile(id);
    if (removed.ok() && !quiet) {
        return report("unregister file " + std::to_string(id),
                      makeError(EBUSY, "requests of this process are still on their way to it",
                                "its disk does not answer"));
    }
    // One that the target has lost, or that went after an earlier call had given up, is not
    // exported any more, which is all that the caller wants.
    if (!removed.ok() && removed.error().code != ENOENT) {
        return report("unregister file " + std::to_string(id), removed.error());
    }
    return 0;
}

}  // namespace mooncake
