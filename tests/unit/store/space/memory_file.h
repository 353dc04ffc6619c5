// SPDX-License-Identifier: Apache-2.0
// A file in memory, which can be told to fail.
#pragma once

#include <cstring>
#include <functional>
#include <vector>

#include "block_file.h"

namespace mooncake::store {

class MemoryFile : public BlockFile {
 public:
    explicit MemoryFile(uint64_t size) : bytes(size) {}

    std::vector<std::byte> bytes;
    // Called before each read and write with its place; true: it fails, and changes nothing.
    std::function<bool(uint64_t offset)> read_fails = [](uint64_t) { return false; };
    std::function<bool(uint64_t offset)> write_fails = [](uint64_t) { return false; };
    uint64_t bytes_read = 0;
    int writes = 0;
    int flushes = 0;

    uint64_t size() const override { return bytes.size(); }
    Result<> read(uint64_t offset, std::span<std::byte> into) override {
        if (Result<> good = check(offset, into.size()); !good) return good;
        if (read_fails(offset)) return failed(Failure::kUnavailable, "the test lets it fail");
        if (!into.empty()) std::memcpy(into.data(), bytes.data() + offset, into.size());
        bytes_read += into.size();
        return {};
    }
    Result<> write(uint64_t offset, std::span<const std::byte> from) override {
        if (Result<> good = check(offset, from.size()); !good) return good;
        if (write_fails(offset)) return failed(Failure::kUnavailable, "the test lets it fail");
        std::memcpy(bytes.data() + offset, from.data(), from.size());
        ++writes;
        return {};
    }
    Result<> flush() override {
        ++flushes;
        return {};
    }

 private:
    Result<> check(uint64_t offset, size_t length) const {
        if (offset % kBlockBytes != 0 || length % kBlockBytes != 0 || offset > bytes.size() ||
            length > bytes.size() - offset) {
            return failed(Failure::kInvalid, "not whole blocks within the file");
        }
        return {};
    }
};

}  // namespace mooncake::store
