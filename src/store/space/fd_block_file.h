// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "block_file.h"

namespace mooncake::store {

// A file or block device of this machine, past the page cache where its file system can do that, so
// that what others write to it over the network is seen.
class FdBlockFile : public BlockFile {
 public:
    // For reading and writing. kNotFound where there is none, kRefused without the right to,
    // kInvalid where it is neither a file nor a block device, kUnavailable for the rest.
    static Result<std::unique_ptr<FdBlockFile>> open(const std::string& path);
    ~FdBlockFile() override;

    // Nobody else on this machine has the lock until the object ends, in forked children too.
    // @param waits  for whoever has it
    // @return false: somebody else has it
    bool lock(bool waits);
    // The object's.
    int fd() const { return fd_; }

    uint64_t size() const override { return size_; }
    Result<> read(uint64_t offset, std::span<std::byte> into) override;
    Result<> write(uint64_t offset, std::span<const std::byte> from) override;
    Result<> flush() override;

 private:
    FdBlockFile(std::string path, int fd, uint64_t size);
    Result<> check(uint64_t offset, size_t length, const char* what) const;
    Error broken(const char* what, uint64_t offset, int code) const;

    const std::string path_;
    const int fd_;
    const uint64_t size_;
};

}  // namespace mooncake::store
