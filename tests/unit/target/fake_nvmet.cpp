// SPDX-License-Identifier: Apache-2.0
#include "fake_nvmet.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;

enum class Kind { kSubsystem, kNamespace, kHost, kPort, kReferral, kNone };

// What mkdir makes at a path; relative to the root.
Kind kindOf(const std::string& path) {
    std::vector<std::string> parts;
    for (const fs::path& part : fs::path(path)) parts.push_back(part);
    if (parts.size() == 2 && parts[0] == "subsystems") return Kind::kSubsystem;
    if (parts.size() == 2 && parts[0] == "hosts") return Kind::kHost;
    if (parts.size() == 2 && parts[0] == "ports") return Kind::kPort;
    if (parts.size() == 4 && parts[0] == "subsystems" && parts[2] == "namespaces") {
        return Kind::kNamespace;
    }
    if (parts.size() == 4 && parts[0] == "ports" && parts[2] == "referrals") return Kind::kReferral;
    return Kind::kNone;
}

const std::map<std::string, std::string>& attributesOf(Kind kind) {
    static const std::map<Kind, std::map<std::string, std::string>> all = {
        {Kind::kSubsystem,
         {{"attr_allow_any_host", "0"}, {"attr_model", "Linux"}, {"attr_serial", "1"}}},
        {Kind::kNamespace,
         {{"device_path", "(null)"}, {"device_uuid", "0"}, {"enable", "0"}, {"buffered_io", "0"}}},
        {Kind::kHost, {}},
        {Kind::kPort,
         {{"addr_trtype", ""}, {"addr_adrfam", ""}, {"addr_traddr", ""}, {"addr_trsvcid", ""}}},
        {Kind::kReferral, {{"enable", "0"}}},
        {Kind::kNone, {}},
    };
    return all.at(kind);
}

std::vector<std::string> defaultGroupsOf(Kind kind) {
    if (kind == Kind::kSubsystem) return {"namespaces", "allowed_hosts"};
    if (kind == Kind::kPort) return {"subsystems", "referrals", "ana_groups", "ana_groups/1"};
    return {};
}

std::string lastPart(const std::string& path) {
    return fs::path(path).filename();
}

std::string parentOf(const std::string& path) {
    return fs::path(path).parent_path();
}

bool isEmptyFolder(const std::string& path) {
    return fs::directory_iterator(path) == fs::directory_iterator();
}

}  // namespace

FakeNvmet::FakeNvmet(const std::string& root) : root_(root), posix_(makePosixConfigTree()) {
    for (const char* folder : {"subsystems", "ports", "hosts"}) {
        fs::create_directories(root_ + "/" + folder);
    }
}

std::string FakeNvmet::read(const std::string& path) {
    std::string value;
    posix_->readFile(path, value);
    return value;
}

int FakeNvmet::makeDir(const std::string& path) {
    int code = 0;
    {
        std::lock_guard guard(mutex_);
        code = makeDirLocked(path);
    }
    if (code == 0 && afterMaking) afterMaking(path);
    return code;
}

int FakeNvmet::makeDirLocked(const std::string& path) {
    const Kind kind = kindOf(fs::path(path).lexically_relative(root_));
    const std::string name = lastPart(path);
    if (kind == Kind::kNone) return EPERM;
    if (kind == Kind::kNamespace && (name == "0" || name == "4294967295")) return EINVAL;
    if (const int code = posix_->makeDir(path); code != 0) return code;
    for (const std::string& group : defaultGroupsOf(kind)) posix_->makeDir(path + "/" + group);
    for (const auto& [attribute, value] : attributesOf(kind)) {
        std::ofstream(path + "/" + attribute) << value << '\n';
    }
    if (kind == Kind::kHost && canAuthenticate) {
        for (const auto& [attribute, value] :
             std::map<std::string, std::string>{{"dhchap_key", ""},
                                                {"dhchap_ctrl_key", ""},
                                                {"dhchap_hash", "hmac(sha256)"},
                                                {"dhchap_dhgroup", "null"}}) {
            std::ofstream(path + "/" + attribute) << value << '\n';
        }
    }
    return 0;
}

bool FakeNvmet::isLinked(const std::string& path) const {
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
        if (entry.is_symlink() && fs::read_symlink(entry.path()) == path) return true;
    }
    return false;
}

int FakeNvmet::removeDir(const std::string& path) {
    if (beforeRemoval) beforeRemoval(path);
    std::lock_guard guard(mutex_);
    return removeDirLocked(path);
}

int FakeNvmet::removeDirLocked(const std::string& path) {
    if (!fs::exists(path)) return ENOENT;
    const Kind kind = kindOf(fs::path(path).lexically_relative(root_));
    if (kind == Kind::kNone) return EPERM;
    if ((kind == Kind::kSubsystem || kind == Kind::kHost) && isLinked(path)) return EBUSY;
    for (const std::string& group : defaultGroupsOf(kind)) {
        if (group != "ana_groups" && !isEmptyFolder(path + "/" + group)) return ENOTEMPTY;
    }
    if (kind == Kind::kPort) {
        for (const auto& entry : fs::directory_iterator(path + "/ana_groups")) {
            if (entry.path().filename() != "1") return ENOTEMPTY;
        }
    }
    fs::remove_all(path);
    return 0;
}

int FakeNvmet::writeFile(const std::string& path, std::string_view value) {
    std::lock_guard guard(mutex_);
    if (value.empty()) return EFAULT;
    if (const int code = posix_->exists(path); code != 0) return code;
    const std::string object = parentOf(path);
    const std::string name = lastPart(path);
    if (name == "enable" && value == "1" && read(path) != "1") {
        if (const int code = enable(object); code != 0) return code;
    }
    if (name == "device_path" && read(object + "/enable") == "1") return EBUSY;
    if (name.starts_with("addr_") && !isEmptyFolder(object + "/subsystems")) return EACCES;
    // A new file: ext4 writes one that was cut to nothing to the disk at once.
    const fs::perms mode = fs::status(path).permissions();
    fs::remove(path);
    std::ofstream(path) << value << '\n';
    fs::permissions(path, mode);
    return 0;
}

int FakeNvmet::enable(const std::string& ns) {
    const std::string file = read(ns + "/device_path");
    const bool buffered = read(ns + "/buffered_io") == "1";
    UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC | (buffered ? 0 : O_DIRECT)));
    if (!fd.valid()) return errno;
    if (duringEnable) duringEnable();
    return 0;
}

int FakeNvmet::hide(const std::string& path) {
    std::lock_guard guard(mutex_);
    return posix_->hide(path);
}

int FakeNvmet::readFile(const std::string& path, std::string& value) {
    std::lock_guard guard(mutex_);
    return posix_->readFile(path, value);
}

int FakeNvmet::link(const std::string& target, const std::string& path) {
    std::lock_guard guard(mutex_);
    if (const int code = posix_->exists(target); code != 0) return code;
    const std::string parent = parentOf(path);
    if (posix_->exists(path) == 0) return EEXIST;
    if (lastPart(parent) == "allowed_hosts" &&
        read(parentOf(parent) + "/attr_allow_any_host") == "1") {
        return EINVAL;
    }
    if (lastPart(parent) == "subsystems") {
        if (const int code = linkPort(parentOf(parent)); code != 0) return code;
    }
    return posix_->link(target, path);
}

int FakeNvmet::linkPort(const std::string& port) {
    const std::string address = read(port + "/addr_traddr");
    const std::string service = read(port + "/addr_trsvcid");
    if (read(port + "/addr_trtype") != "tcp" || address.empty() || service.empty()) return EINVAL;
    if (absent.contains(address)) return EADDRNOTAVAIL;
    if (!address.starts_with("127.") && address.find(':') == std::string::npos) {
        return EADDRNOTAVAIL;
    }
    if (taken.contains(address + ":" + service)) return EADDRINUSE;
    for (const auto& entry : fs::directory_iterator(root_ + "/ports")) {
        const std::string other = entry.path();
        if (other != port && !isEmptyFolder(other + "/subsystems") &&
            read(other + "/addr_traddr") == address && read(other + "/addr_trsvcid") == service) {
            return EADDRINUSE;
        }
    }
    return 0;
}

int FakeNvmet::unlink(const std::string& path) {
    if (beforeUnlink) beforeUnlink(path);
    std::lock_guard guard(mutex_);
    return posix_->unlink(path);
}

int FakeNvmet::list(const std::string& path, std::vector<std::string>& names) {
    std::lock_guard guard(mutex_);
    return posix_->list(path, names);
}

int FakeNvmet::exists(const std::string& path) {
    std::lock_guard guard(mutex_);
    return posix_->exists(path);
}

int FakeNvmet::keepPrivate(const std::string& path) {
    std::lock_guard guard(mutex_);
    return posix_->keepPrivate(path);
}

int FakeNvmet::tryLock(const std::string& path, LockMode mode, ProcessFd& lock) {
    std::lock_guard guard(mutex_);
    return posix_->tryLock(path, mode, lock);
}

int FakeNvmet::tryEnter(const std::string& path, ProcessFd& lock) {
    std::lock_guard guard(mutex_);
    return posix_->tryEnter(path, lock);
}

int FakeNvmet::leave(const std::string& path, ProcessFd& lock) {
    std::lock_guard guard(mutex_);
    return posix_->leave(path, lock);
}

}  // namespace mooncake::nvmeof_generic
