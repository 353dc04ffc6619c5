// SPDX-License-Identifier: Apache-2.0
// The devices of a segment's files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// Those that are open, and those of which the kernel may still have I/O. Not thread-safe. What is
/// taken out here is for the caller to close (IoPool::closeDevice()), without a lock.
class OpenFiles {
 public:
    using Devices = std::vector<std::shared_ptr<IoDevice>>;
    using Predicate = std::function<bool(uint32_t fileId, uint32_t nsid)>;

    /// @return null when it is not open
    std::shared_ptr<IoDevice> device(uint32_t fileId) const;

    /// @param nsid  of the namespace that was opened
    /// @param listener  tells this opening from others of the same file
    void add(uint32_t fileId, uint32_t nsid, std::shared_ptr<IoListener> listener,
             std::shared_ptr<IoDevice> device);

    /// Takes one opening of a file out. @return null when the file has been closed since, or opened
    /// anew
    std::shared_ptr<IoDevice> takeOut(uint32_t fileId, const IoListener* listener);

    /// Takes all files out but those that `kept` picks. It must not block.
    Devices takeOutAllBut(const Predicate& kept);

    /// Of all devices of which the kernel may have I/O.
    IoDevice::Activity activity();

    /// The same, for one who calls it regularly (IoDevice::sample()); `oldest` is that of the
    /// device whose is highest.
    IoDevice::Sample sample();

    /// Of any open file, null where none is open.
    std::shared_ptr<const UniqueFd> anyDescriptor() const;

 private:
    template <class Read>
    IoDevice::Sample sumUp(const Read& read);

    struct File {
        uint32_t nsid;
        std::shared_ptr<IoListener> listener;
        std::shared_ptr<IoDevice> device;
    };

    std::unordered_map<uint32_t, File> files_;
    Devices closing_;
};

}  // namespace mooncake::nvmeof_generic
