// SPDX-License-Identifier: Apache-2.0
// Nodes of one process with the whole plugin, on local files (tests/support/local_transport).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>

#include "transfer_engine.h"

namespace mooncake::test {

constexpr size_t kBlock = 4096;
/// Nothing that ends at all takes this long.
constexpr std::chrono::seconds kForever{60};

/// Waits for a condition. @return whether it came true within kForever
template <class Condition>
bool eventually(const Condition& condition) {
    const auto limit = std::chrono::steady_clock::now() + kForever;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// A folder for files, in the working directory: direct I/O works there, which not every file
/// system for temporary files has. Removed with everything in it.
class FileFolder {
 public:
    FileFolder();
    ~FileFolder();
    FileFolder(const FileFolder&) = delete;
    FileFolder& operator=(const FileFolder&) = delete;

    /// @return the path of a file of `size` bytes that are all `fill`
    std::string make(const std::string& name, size_t size, char fill) const;

 private:
    std::string path_;
};

/// What the file holds, read by the system's own way.
std::string contents(const std::string& path, uint64_t offset, size_t length);

struct Memory {
    explicit Memory(size_t size);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    std::string_view view() const { return {data, size}; }
    const size_t size;
    char* const data;  // aligned to blocks; zeros
};

class Node {
 public:
    Node();
    /// Exports files from now on.
    void becomeTarget();
    FileBufferID add(const std::string& path, size_t size);
    SegmentHandle open(const std::string& segment);
    std::string name() { return engine.getLocalIpAndPort(); }

    /// Submits and waits, kForever at most. WAITING when it has not ended by then; what the engine
    /// refuses as a whole is INVALID.
    TransferStatus run(const TransferRequest& request);

    TransferEngine engine;
};

}  // namespace mooncake::test
