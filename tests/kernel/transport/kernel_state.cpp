// SPDX-License-Identifier: Apache-2.0
#include "kernel_state.h"

#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;

std::set<std::string> nvmetObjects() {
    std::set<std::string> objects;
    const auto options = fs::directory_options::skip_permission_denied;
    std::error_code gone;
    for (fs::recursive_directory_iterator it("/sys/kernel/config/nvmet", options, gone), end;
         it != end; it.increment(gone)) {
        if (it->is_directory(gone) || it->is_symlink(gone)) objects.insert(it->path());
    }
    return objects;
}

std::set<std::string> nvmeControllers() {
    std::set<std::string> controllers;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator("/sys/class/nvme", gone)) {
        controllers.insert(entry.path().filename());
    }
    return controllers;
}

std::multiset<std::string> openDescriptors() {
    std::multiset<std::string> descriptors;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const std::string to = fs::read_symlink(entry.path(), gone);
        // The iterator's own descriptor is one of them.
        if (!gone && to.find("/proc/") != 0) descriptors.insert(to);
    }
    return descriptors;
}

std::set<std::string> boundLoopDevices() {
    std::set<std::string> devices;
    for (const auto& entry : fs::directory_iterator("/sys/block")) {
        if (fs::exists(entry.path() / "loop/backing_file")) devices.insert(entry.path().filename());
    }
    return devices;
}
