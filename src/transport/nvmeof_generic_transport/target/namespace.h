// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "nvmet_tree.h"

namespace mooncake::nvmeof_generic {

/// One namespace of a subsystem. The kernel makes and removes the namespaces of a subsystem one at
/// a time, and a removal lasts for as long as the namespace has I/O in flight: on a hung disk for
/// ever. Meanwhile whoever makes or removes another one waits in the kernel, where nothing reaches
/// him.
class Namespace {
 public:
    struct Settings {
        std::string uuid;
        /// Opened by the kernel in the course of enable(), in the name of the calling process.
        std::string devicePath;
        bool bufferedIo;   ///< through the page cache, where there is no direct I/O
        std::string file;  ///< what the user calls it, for errors
    };

    /// Makes one that serves nothing yet. Waits while one of this subsystem is being removed.
    static Result<std::unique_ptr<Namespace>> make(const NvmetTree& tree,
                                                   const std::string& subsystemNqn, uint32_t nsid);

    /// Puts it into service. Waits for no removal. After a failure it is still to be removed.
    Result<> enable(const Settings& settings);

    /// Has the kernel look again how large the device is, and tell the hosts.
    Result<> refreshSize();

    /// Removes all namespaces of a subsystem. Each waits for its I/O in flight and for RCU grace
    /// periods (30 ms in all, measured).
    /// @param gone  called after each
    /// @return the first failure
    static Result<> removeAll(const NvmetTree& tree, const std::string& subsystemNqn,
                              const std::function<void()>& gone);

    /// Does what remove() does, if that has not succeeded yet.
    ~Namespace();
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;

    /// Takes it out of service and removes it, which waits for its I/O in flight. Meanwhile make()
    /// and remove() wait too in this subsystem, but nothing else does: no I/O, no other subsystem.
    Result<> remove();

 private:
    Namespace(const NvmetTree& tree, std::string path) : tree_(tree), path_(std::move(path)) {}

    const NvmetTree tree_;
    const std::string path_;
    bool made_ = true;
};

}  // namespace mooncake::nvmeof_generic
