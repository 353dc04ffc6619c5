// SPDX-License-Identifier: Apache-2.0
#include "device_registry.h"

#include <utility>

namespace mooncake::nvmeof_generic::io {

void DeviceRegistry::add(std::shared_ptr<Device> device) {
    std::lock_guard lock(mutex_);
    const Device* key = device.get();
    devices_.emplace(key, std::move(device));
}

std::shared_ptr<Device> DeviceRegistry::remove(const Device& device) {
    std::lock_guard lock(mutex_);
    auto node = devices_.extract(&device);
    if (devices_.empty()) empty_.notify_all();
    return node.empty() ? nullptr : std::move(node.mapped());
}

std::vector<std::shared_ptr<Device>> DeviceRegistry::all() const {
    std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Device>> devices;
    devices.reserve(devices_.size());
    for (const auto& [key, device] : devices_) devices.push_back(device);
    return devices;
}

bool DeviceRegistry::waitUntilEmpty(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return empty_.wait_for(lock, time, [this] { return devices_.empty(); });
}

}  // namespace mooncake::nvmeof_generic::io
