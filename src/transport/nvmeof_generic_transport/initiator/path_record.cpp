// SPDX-License-Identifier: Apache-2.0
#include "path_record.h"

#include <fcntl.h>

#include <utility>

#include "sysfs_file.h"
#include "sysfs_nvme.h"

namespace mooncake::nvmeof_generic {
namespace {

std::string shown(const Path& path) {
    const TransportAddress& at = path.target;
    std::string text = (at.adrfam == "ipv6" ? "[" + at.traddr + "]" : at.traddr) + ":" + at.trsvcid;
    for (const std::string& from : {path.from.interface, path.from.address}) {
        if (!from.empty()) text += " from " + from;
    }
    return text;
}

}  // namespace

PathRecord::PathRecord(const Path& path) : address_(shown(path)) {
    counts_.address = address_;
    counts_.transport = path.target.trtype;
}

void PathRecord::connected(const std::string& controller, int dir,
                           std::shared_ptr<const UniqueFd> subsystem) {
    // Opened again: a copy would share the lock that hangs on the descriptor (ControllerLease), and
    // keep it after the connection, and in a forked child.
    auto own =
        std::make_shared<const UniqueFd>(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::lock_guard guard(mutex_);
    ++counts_.connects;
    counts_.controller = controller;
    dir_ = std::move(own);
    subsystem_ = std::move(subsystem);
}

void PathRecord::failed() {
    const std::lock_guard guard(mutex_);
    ++counts_.failedAttempts;
}

void PathRecord::lost() {
    const std::lock_guard guard(mutex_);
    ++counts_.losses;
}

PathStats PathRecord::read() const {
    PathStats now;
    std::shared_ptr<const UniqueFd> dir, subsystem;
    {
        const std::lock_guard guard(mutex_);
        now = counts_;
        dir = dir_;
        subsystem = subsystem_;
    }
    now.state = "down";
    // Outside of the lock: the kernel may take its time.
    auto state = dir ? readAttribute(dir->get(), "state") : Result<std::string>(std::string());
    if (!dir || !state.ok()) {
        now.controller.clear();
        return now;
    }
    now.state = state.take();
    if (subsystem) now.policy = SysfsNvme::readIoPolicy(subsystem->get());
    const auto traffic = SysfsNvme::readTraffic(dir->get());
    now.bytesRead = traffic.read;
    now.bytesWritten = traffic.written;
    return now;
}

}  // namespace mooncake::nvmeof_generic
