// SPDX-License-Identifier: Apache-2.0
// What the tests of the pool share: files, patterns that know their place, memory with guards, and
// a listener that counts.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// A file, gone at the end of the test, in a folder where direct I/O works.
class TempFile {
 public:
    /// @param size  bytes, all of them reserved and zero
    explicit TempFile(uint64_t size);
    ~TempFile();
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;

    const std::string& path() const { return path_; }
    uint64_t size() const { return size_; }
    /// Reads and writes past the pool, through another descriptor.
    std::vector<char> read(uint64_t offset, uint64_t length) const;
    void write(uint64_t offset, const std::vector<char>& bytes) const;
    void truncate(uint64_t size) const;

 private:
    std::string path_;
    uint64_t size_;
    UniqueFd fd_;
};

/// A loop device over a file; needs root and a free one.
class LoopDevice {
 public:
    static std::unique_ptr<LoopDevice> create(const std::string& file, uint32_t blockSize);
    ~LoopDevice();
    const std::string& path() const { return path_; }

 private:
    LoopDevice(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::string path_;
    UniqueFd fd_;
};

/// Fills in a pattern in which each byte depends on the seed and its place on the device.
void fillPattern(char* memory, uint64_t offset, uint64_t length, uint64_t seed);
std::vector<char> pattern(uint64_t offset, uint64_t length, uint64_t seed);
/// Says where the first difference is.
::testing::AssertionResult isPattern(const char* memory, uint64_t offset, uint64_t length,
                                     uint64_t seed);

/// Says where the first difference is.
::testing::AssertionResult isSame(const char* is, const char* wanted, uint64_t length);

/// Memory at a chosen misalignment, with guard bytes before and behind.
class Memory {
 public:
    Memory(uint64_t length, uint64_t misalignment = 0);
    char* data() { return data_; }
    uint64_t length() const { return length_; }
    ::testing::AssertionResult guardsIntact() const;

 private:
    static constexpr uint64_t kGuard = 4096;
    std::unique_ptr<char, void (*)(void*)> block_;
    uint64_t total_;
    char* data_;
    uint64_t length_;
};

/// Counts how often each request has ended and with what.
class Recorder : public IoListener {
 public:
    explicit Recorder(size_t requests) : entries_(requests) {}

    void* context(size_t request) { return reinterpret_cast<void*>(request); }
    void onIoDone(void* context, int error, uint64_t bytes) noexcept override;

    /// Waits, within a generous limit, until so many have ended.
    ::testing::AssertionResult waitFor(size_t count);
    ::testing::AssertionResult waitForAll() { return waitFor(entries_.size()); }
    size_t size() const { return entries_.size(); }
    bool ended(size_t request) const { return entries_[request].ends.load() > 0; }
    size_t endedCount() const { return endedCount_.load(); }
    int error(size_t request) const { return entries_[request].error; }
    uint64_t bytes(size_t request) const { return entries_[request].bytes; }
    /// Whether every request that ended did so once.
    bool eachOnce() const;

 private:
    struct Entry {
        std::atomic<uint32_t> ends{0};
        int error = -1;
        uint64_t bytes = 0;
    };
    std::vector<Entry> entries_;
    std::atomic<size_t> endedCount_{0};
    std::atomic<size_t> wanted_{SIZE_MAX};
    std::mutex mutex_;
    std::condition_variable reached_;
};

/// Opens for a pool; fails the test when that is impossible.
UniqueFd openFor(const IoPool& pool, const std::string& path);

/// A device of the pool over the whole of a file.
std::shared_ptr<IoDevice> addFile(IoPool& pool, const TempFile& file,
                                  std::shared_ptr<IoListener> listener, uint32_t blockSize = 4096);

}  // namespace mooncake::nvmeof_generic::io
