// SPDX-License-Identifier: Apache-2.0
#include "namespace.h"

#include <glog/logging.h>

#include <cerrno>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

std::string namespacesPath(const NvmetTree& tree, const std::string& subsystemNqn) {
    return tree.subsystem(subsystemNqn) + "/namespaces";
}

// The kernel disables a namespace in the course of its rmdir. To write 0 to `enable` first would do
// the waiting under nvmet's global lock (seen on 6.1.192, not tried on 6.12): with a hung disk, no
// host could connect to any target of this machine any more, and nothing be exported or
// taken back. rmdir waits with this subsystem's `namespaces` folder locked, which is the least
// there is.
Result<> removeNamespace(const NvmetTree& tree, const std::string& path) {
    const int code = unlessGone(tree.files->removeDir(path));
    return code == 0 ? Result<>() : treeError(code, "cannot remove " + path);
}

Error enableError(int code, const Namespace::Settings& settings) {
    const std::string what = "the kernel cannot export " + settings.file;
    if (code == EMFILE) {
        return makeError(code, what,
                         "a subsystem has at most 1024 namespaces and a process 'ulimit -n' files");
    }
    return treeError(code, what);
}

}  // namespace

Result<std::unique_ptr<Namespace>> Namespace::make(const NvmetTree& tree,
                                                   const std::string& subsystemNqn, uint32_t nsid) {
    const std::string path = namespacesPath(tree, subsystemNqn) + "/" + std::to_string(nsid);
    if (const int code = tree.files->makeDir(path); code != 0) {
        const std::string what = "cannot make " + path;
        if (code != ENOENT) return treeError(code, what);
        return makeError(code, what, "somebody else removed its subsystem: start the target again");
    }
    return std::unique_ptr<Namespace>(new Namespace(tree, path));
}

Result<> Namespace::enable(const Settings& settings) {
    const auto write = [&](const char* attribute, const std::string& value) -> Result<> {
        const int code = tree_.files->writeFile(path_ + "/" + attribute, value);
        if (code == 0) return {};
        return treeError(code, "cannot set " + path_ + "/" + attribute + " to '" + value + "'");
    };
    if (auto written = write("device_uuid", settings.uuid); !written.ok()) return written;
    if (auto written = write("device_path", settings.devicePath); !written.ok()) return written;
    if (settings.bufferedIo) {
        if (auto written = write("buffered_io", "1"); !written.ok()) return written;
    }
    const int code = tree_.files->writeFile(path_ + "/enable", "1");
    return code == 0 ? Result<>() : enableError(code, settings);
}

Result<> Namespace::refreshSize() {
    const std::string attribute = path_ + "/revalidate_size";
    const int code = tree_.files->writeFile(attribute, "1");
    return code == 0 ? Result<>() : treeError(code, "cannot set " + attribute);
}

Result<> Namespace::removeAll(const NvmetTree& tree, const std::string& subsystemNqn,
                              const std::function<void()>& gone) {
    const std::string folder = namespacesPath(tree, subsystemNqn);
    std::vector<std::string> nsids;
    if (const int code = unlessGone(tree.files->list(folder, nsids)); code != 0) {
        return treeError(code, "cannot list " + folder);
    }
    Result<> result;
    for (const std::string& nsid : nsids) {
        auto removed = removeNamespace(tree, folder + "/" + nsid);
        if (!removed.ok() && result.ok()) result = std::move(removed);
        gone();
    }
    return result;
}

Result<> Namespace::remove() {
    if (!made_) return {};
    auto removed = removeNamespace(tree_, path_);
    if (removed.ok()) made_ = false;
    return removed;
}

Namespace::~Namespace() {
    if (const auto removed = remove(); !removed.ok()) LOG(ERROR) << removed.error().message;
}

}  // namespace mooncake::nvmeof_generic
