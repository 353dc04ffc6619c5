// SPDX-License-Identifier: Apache-2.0
#include "host_authentication.h"

#include <cerrno>
#include <cstring>

namespace mooncake::nvmeof_generic {
namespace {

// The kernel's own, in no header of user space: an algorithm that it does not have.
constexpr int kNotSupported = 524;  // ENOTSUPP in include/linux/errno.h

Result<> checkSupported(const NvmetTree& tree, const std::string& hostNqn) {
    const int code = tree.files->exists(tree.host(hostNqn) + "/dhchap_key");
    if (code == 0) return {};
    if (code != ENOENT) return treeError(code, "cannot look at " + tree.host(hostNqn));
    return makeError(EOPNOTSUPP, "cannot make host " + hostNqn + " authenticate itself",
                     "this kernel's target cannot: it takes one built with "
                     "CONFIG_NVME_TARGET_AUTH, as Debian's 6.12 is. Without the option for keys "
                     "every host that claims a name on the list may connect");
}

// What fails names the attribute, and never the value.
Result<> write(const NvmetTree& tree, const std::string& path, std::string_view value) {
    const int code = tree.files->writeFile(path, value);
    if (code == 0) return {};
    if (code == kNotSupported || code == EOPNOTSUPP) {
        return makeError(EOPNOTSUPP, "cannot set " + path,
                         "the kernel lacks the algorithm: modprobe -a hmac sha256_generic "
                         "sha512_generic dh_generic");
    }
    return treeError(code, "cannot set " + path);
}

Result<> writeHidden(const NvmetTree& tree, const std::string& path, const Secret& key) {
    if (key.empty()) return {};
    const int code = tree.files->hide(path);
    if (code == EBUSY) {
        return makeError(
            code, "cannot hide " + path,
            "another process has opened it already, and would read the key: 'fuser -v " + path +
                "' shows which while it is there");
    }
    if (code != 0) {
        return treeError(code, "cannot hide " + path + " from other users");
    }
    return write(tree, path, key.view());
}

Result<bool> holds(const NvmetTree& tree, const std::string& path, std::string_view wanted) {
    std::string value;
    const int code = tree.files->readFile(path, value);
    const bool same = value == wanted;
    explicit_bzero(value.data(), value.capacity());
    if (code != 0) return treeError(code, "cannot read " + path);
    return same;
}

}  // namespace

Result<> setHostKey(const NvmetTree& tree, const std::string& hostNqn, const HostKey& key) {
    if (auto supported = checkSupported(tree, hostNqn); !supported.ok()) return supported;
    const std::string entry = tree.host(hostNqn);
    for (const auto& [name, value] :
         {std::pair{"/dhchap_hash", &key.hash}, {"/dhchap_dhgroup", &key.dhGroup}}) {
        if (value->empty()) continue;
        if (auto written = write(tree, entry + name, *value); !written.ok()) return written;
    }
    if (auto written = writeHidden(tree, entry + "/dhchap_ctrl_key", key.controller);
        !written.ok()) {
        return written;
    }
    return writeHidden(tree, entry + "/dhchap_key", key.host);
}

Result<> checkHostKey(const NvmetTree& tree, const std::string& hostNqn, const HostKey& key) {
    if (auto supported = checkSupported(tree, hostNqn); !supported.ok()) return supported;
    const std::string entry = tree.host(hostNqn);
    struct Wanted {
        const char* name;
        std::string_view value;
        bool always;  // also "nothing" is something to agree on
    };
    for (const Wanted& wanted : {Wanted{"dhchap_key", key.host.view(), true},
                                 {"dhchap_ctrl_key", key.controller.view(), true},
                                 {"dhchap_hash", key.hash, false},
                                 {"dhchap_dhgroup", key.dhGroup, false}}) {
        if (wanted.value.empty() && !wanted.always) continue;
        const auto same = holds(tree, entry + "/" + wanted.name, wanted.value);
        if (!same.ok()) return same.error();
        if (same.value()) continue;
        return makeError(EEXIST, "host " + hostNqn + " has another " + wanted.name + ", or none",
                         "another target, or somebody by hand, uses " + entry +
                             " already, and a host has one setting on a kernel: give all targets "
                             "the same key file, or end the others first");
    }
    return {};
}

}  // namespace mooncake::nvmeof_generic
