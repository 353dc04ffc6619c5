// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace test_support {

/// Bytes that depend on `seed` and on their own place, so that a misplaced, stale or torn block
/// differs: byte i of a file is the same whichever piece it is written in.
void fillPattern(uint64_t seed, uint64_t offset, void* buffer, size_t length);

/// Compares with fillPattern()'s bytes.
/// @return "" or where the first difference is
std::string comparePattern(uint64_t seed, uint64_t offset, const void* buffer, size_t length);

/// Reads a file or block device past the page cache (O_DIRECT), a path of its own beside the
/// transport.
/// @param length  bytes; the piece is widened to whole blocks of 4096 inside
std::vector<uint8_t> readDirect(const std::string& path, uint64_t offset, size_t length);

/// The same for writing; offset and length in whole blocks of 4096.
void writeDirect(const std::string& path, uint64_t offset, const void* data, size_t length);

/// Makes a file of `size` bytes whose space is allocated.
void makeFile(const std::string& path, uint64_t size);

/// Memory at a multiple of 4096, in small pages, with zeros.
class AlignedBuffer {
 public:
    explicit AlignedBuffer(size_t size);
    ~AlignedBuffer();
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    uint8_t* data() { return data_; }
    size_t size() const { return size_; }

 private:
    const size_t size_, mapped_;
    uint8_t* data_ = nullptr;
};

}  // namespace test_support
