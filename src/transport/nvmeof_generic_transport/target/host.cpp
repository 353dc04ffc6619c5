// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <glog/logging.h>

#include <cerrno>

#include "host_authentication.h"

namespace mooncake::nvmeof_generic {
namespace {

// A host NQN has at most 223 bytes: with this in front it is still a file name.
constexpr std::string_view kMarkerPrefix = "mooncake-nvmeof-generic.";

// The host's entry: ours (returned), or somebody else's (nullptr). With a key, it has that.
Result<std::unique_ptr<SharedDir>> findOrMakeEntry(const NvmetTree& tree,
                                                   const std::string& hostNqn, const HostKey* key) {
    std::unique_ptr<SharedDir> entry;  // outlives the lock, which its destructor would wait for
    // Held until the keys are set: others who join see all of them.
    auto treeLock = TreeLock::acquire(tree);
    if (!treeLock.ok()) return treeLock.error();
    const SharedDir::Place place = AllowedHost::place(tree, hostNqn);
    auto made = SharedDir::create(tree, treeLock.value(), place);
    if (!made.ok() && made.error().code != EEXIST) return made;
    if (made.ok()) {
        entry = made.take();
    } else {
        auto joined = SharedDir::join(tree, treeLock.value(), place);
        if (!joined.ok() && joined.error().code != ENOENT) return joined;
        if (joined.ok()) entry = joined.take();
    }
    if (key != nullptr) {
        auto keyed =
            made.ok() ? setHostKey(tree, hostNqn, *key) : checkHostKey(tree, hostNqn, *key);
        if (!keyed.ok()) return keyed.error();
    }
    return entry;
}

}  // namespace

SharedDir::Place AllowedHost::place(const NvmetTree& tree, const std::string& hostNqn) {
    return {tree.host(hostNqn), tree.host(std::string(kMarkerPrefix) + hostNqn)};
}

Result<std::vector<std::string>> AllowedHost::listOwn(const NvmetTree& tree) {
    std::vector<std::string> names, own;
    if (const int code = tree.files->list(tree.hosts(), names); code != 0) {
        return treeError(code, "cannot list " + tree.hosts());
    }
    for (const std::string& name : names) {
        if (name.starts_with(kMarkerPrefix)) own.push_back(name.substr(kMarkerPrefix.size()));
    }
    return own;
}

AllowedHost::AllowedHost(const NvmetTree& tree, std::string link, std::unique_ptr<SharedDir> entry)
    : tree_(tree), link_(std::move(link)), entry_(std::move(entry)) {}

Result<std::unique_ptr<AllowedHost>> AllowedHost::allow(const NvmetTree& tree,
                                                        const std::string& subsystemNqn,
                                                        const std::string& hostNqn,
                                                        const HostKey* key) {
    auto entry = findOrMakeEntry(tree, hostNqn, key);
    if (!entry.ok()) return entry.error();
    const std::string link = tree.subsystem(subsystemNqn) + "/allowed_hosts/" + hostNqn;
    if (const int code = tree.files->link(tree.host(hostNqn), link); code != 0) {
        return treeError(code, "cannot allow host " + hostNqn + " to connect");
    }
    return std::unique_ptr<AllowedHost>(new AllowedHost(tree, link, entry.take()));
}

Result<> AllowedHost::revoke() {
    if (link_.empty()) return {};
    if (const int code = unlessGone(tree_.files->unlink(link_)); code != 0) {
        return treeError(code, "cannot remove " + link_);
    }
    link_.clear();
    return {};
}

AllowedHost::~AllowedHost() {
    if (const auto revoked = revoke(); !revoked.ok()) LOG(ERROR) << revoked.error().message;
}

}  // namespace mooncake::nvmeof_generic
