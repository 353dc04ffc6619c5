// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "nvmet_tree.h"

namespace mooncake::nvmeof_generic {

/// One enabled namespace of a subsystem.
class Namespace {
 public:
    struct Settings {
        uint32_t nsid;
        std::string uuid;
        /// Opened by the kernel in the course of create(), in the name of the calling process.
        std::string devicePath;
        bool bufferedIo;   ///< through the page cache, where there is no direct I/O
        std::string file;  ///< what the user calls it, for errors
    };

    static Result<std::unique_ptr<Namespace>> create(const NvmetTree& tree,
                                                     const std::string& subsystemNqn,
                                                     const Settings& settings);

    /// Removes all namespaces of a subsystem. Each waits for its I/O in flight and for RCU grace
    /// periods (30 ms in all, measured). @return the first failure
    static Result<> removeAll(const NvmetTree& tree, const std::string& subsystemNqn);

    /// Does what remove() does, if that has not succeeded yet.
    ~Namespace();
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;

    /// Disables and removes it, which waits for its I/O in flight. Meanwhile create() and remove()
    /// wait too in this subsystem, but nothing else does: no I/O, no other subsystem.
    Result<> remove();

 private:
    Namespace(const NvmetTree& tree, std::string path) : tree_(tree), path_(std::move(path)) {}

    const NvmetTree tree_;
    const std::string path_;
    bool made_ = true;
};

}  // namespace mooncake::nvmeof_generic
