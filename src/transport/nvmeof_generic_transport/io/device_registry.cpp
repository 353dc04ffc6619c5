// SPDX-License-Identifier: Apache-2.0
#include "device_registry.h"

#include <utility>

namespace mooncake::nvmeof_generic::io {

void DeviceRegistry::add(std::shared_ptr<Device> device) {
    const MutexLock lock(mutex_);
    const Device* key = device.get();
    devices_.emplace(key, std::move(device));
}

std::shared_ptr<Device> DeviceRegistry::remove(const Device& device) {
    const MutexLock lock(mutex_);
    auto node = devices_.extract(&device);
    if (devices_.empty()) empty_.notifyAll();
    return node.empty() ? nullptr : std::move(node.mapped());
}

std::vector<std::shared_ptr<Device>> DeviceRegistry::all() const {
    const MutexLock lock(mutex_);
    std::vector<std::shared_ptr<Device>> devices;
    devices.reserve(devices_.size());
    for (const auto& [key, device] : devices_) devices.push_back(device);
    return devices;
}

bool DeviceRegistry::waitUntilEmpty(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    const MutexLock lock(mutex_);
    while (!devices_.empty()) {
        if (!empty_.waitUntil(mutex_, until)) return devices_.empty();
    }
    return true;
}

}  // namespace mooncake::nvmeof_generic::io
