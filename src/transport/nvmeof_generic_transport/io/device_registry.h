// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <unordered_map>
#include <vector>

#include "device.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

/// Keeps each device alive until it is closed, whoever else still knows it. Thread-safe.
class DeviceRegistry {
 public:
    void add(std::shared_ptr<Device> device);

    /// @return what was kept, for the caller to let go of
    std::shared_ptr<Device> remove(const Device& device);

    std::vector<std::shared_ptr<Device>> all() const;

    /// Waits until there is no device. @return false when `time` is over before
    bool waitUntilEmpty(std::chrono::milliseconds time);

 private:
    mutable Mutex mutex_;
    CondVar empty_;
    std::unordered_map<const Device*, std::shared_ptr<Device>> devices_ MC_GUARDED_BY(mutex_);
};

}  // namespace mooncake::nvmeof_generic::io
