// SPDX-License-Identifier: Apache-2.0
#include "controller_notes.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kPrefix[] = "controller.";
constexpr size_t kMostBytes = 4096;

std::string fileOf(const struct stat& controller) {
    return kPrefix + std::to_string(controller.st_ino);
}

// What makes a note one of this controller, seen from here: the start of the machine, the mount of
// sysfs, and, so that nothing hangs on the inode alone, the subsystem.
// @return empty where that is not known
std::string contentOf(int dir, const struct stat& controller, const std::string& boot) {
    const auto nqn = readAttribute(dir, "subsysnqn");
    if (!nqn.ok() || boot.empty()) return {};
    return boot + "\n" + std::to_string(controller.st_dev) + "\n" + nqn.value() + "\n";
}

}  // namespace

ControllerNotes::ControllerNotes(std::shared_ptr<const RunFolder> folder, std::string sysRoot)
    : folder_(std::move(folder)), sysRoot_(std::move(sysRoot)), boot_(bootId()) {
    removeOld();
}

void ControllerNotes::add(int dir, const std::string& name) const {
    if (!folder_->valid()) return;
    removeOld();
    struct stat controller {};
    if (fstat(dir, &controller) != 0) return;
    const std::string content = contentOf(dir, controller, boot_);
    if (content.empty() || folder_->replace(fileOf(controller), content)) return;
    LOG_EVERY_T(WARNING, 60) << "cannot note controller " << name
                             << " in the folder nvmeof_generic (" << strerrordesc_np(errno)
                             << "): if this process is killed, the next one takes it for somebody "
                                "else's";
}

bool ControllerNotes::has(int dir) const {
    struct stat controller {};
    if (!folder_->valid() || fstat(dir, &controller) != 0) return false;
    const std::string content = contentOf(dir, controller, boot_);
    return !content.empty() && folder_->read(fileOf(controller), kMostBytes) == content;
}

void ControllerNotes::removeOld() const {
    if (!folder_->valid()) return;
    // In this order: whose note is seen was there before it.
    const auto notes = listFolder(folder_->fd(), ".");
    const std::string controllers = sysRoot_ + "/class/nvme";
    const auto names = listFolder(AT_FDCWD, controllers);
    if (!notes.ok() || (!names.ok() && names.error().code != ENOENT)) return;
    std::set<std::string> there;
    if (names.ok()) {
        for (const std::string& name : names.value()) {
            struct stat controller {};
            if (stat((controllers + "/" + name).c_str(), &controller) == 0) {
                there.insert(fileOf(controller));
            }
        }
    }
    for (const std::string& note : notes.value()) {
        if (!note.starts_with(kPrefix)) continue;
        // One that is being written has something behind the number.
        const std::string whole = note.substr(0, note.find('.', sizeof(kPrefix) - 1));
        if (!there.contains(whole)) unlinkat(folder_->fd(), note.c_str(), 0);
    }
}

}  // namespace mooncake::nvmeof_generic
