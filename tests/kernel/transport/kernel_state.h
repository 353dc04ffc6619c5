// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <thread>

/// Every folder and link under nvmet's configfs.
std::set<std::string> nvmetObjects();

/// The kernel's NVMe controllers ("nvme0").
std::set<std::string> nvmeControllers();

/// The descriptors of this process, as what they point to.
std::multiset<std::string> openDescriptors();

/// Loop devices that have a file behind them.
std::set<std::string> boundLoopDevices();

/// Waits until `condition` holds, with a limit. @return whether it did
template <class Condition>
bool eventually(Condition condition, int seconds = 30) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}
