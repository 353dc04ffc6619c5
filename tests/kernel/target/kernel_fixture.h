// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "error_of.h"
#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/target/target.h"
#include "tree_snapshot.h"

namespace mooncake::nvmeof_generic {

inline const TransportAddress kLoopback{"tcp", "ipv4", "127.0.0.1", "4420"};
inline constexpr uint64_t kMiB = 1 << 20;

/// The nvmet tree of the running kernel, and files on a file system with direct I/O. Whatever a
/// test does, the tree must be in the end what it was before, and no loop device more be in use.
class KernelTargetTest : public testing::Test {
 protected:
    KernelTargetTest();
    void TearDown() override;

    Result<std::unique_ptr<Target>> tryStart(const TransportAddress& address = kLoopback) {
        return Target::start(address, options_);
    }
    std::unique_ptr<Target> start(const TransportAddress& address = kLoopback);

    TreeSnapshot snapshot() const { return takeSnapshot(options_.nvmetRoot); }
    std::string nvmet(const std::string& path) const { return options_.nvmetRoot + "/" + path; }
    /// The disks that the test was given, each empty and nobody else's.
    static std::vector<std::string> disks();
    /// The loop devices in use, with their backing files.
    static TreeSnapshot loops();

    TargetOptions options_;
    TempDir dir_;

 private:
    const TreeSnapshot treeBefore_, loopsBefore_;
};

/// Objects as somebody makes them by hand, and removes them by hand.
void makeFolder(const std::string& path);
void removeFolder(const std::string& path);
void writeAttribute(const std::string& path, const std::string& value);
std::string readAttribute(const std::string& path);

/// Runs a program with the shell. @return its exit status
int run(const std::string& command);

/// Waits until `done` holds. @return false when 30 seconds have passed
template <class Condition>
bool waitFor(Condition done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

}  // namespace mooncake::nvmeof_generic
