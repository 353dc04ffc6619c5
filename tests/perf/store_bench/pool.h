// SPDX-License-Identifier: Apache-2.0
// A store of one node, for measurements: an engine, a client, and a file that it mounts.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "mooncake_store/client.h"
#include "transfer_engine.h"

namespace mooncake::store_bench {

// Aligned memory that was written to; what it holds is not compressible.
class Memory {
 public:
    explicit Memory(size_t bytes);
    ~Memory() { std::free(bytes_); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    char* at(size_t offset) const { return bytes_ + offset; }
    // One slice of `size` bytes for each of `count` objects, one behind the other.
    std::vector<std::vector<Slice>> slices(size_t count, size_t size) const;

 private:
    char* const bytes_;
};

// Makes a file every block of which has been written, unless it is there with that size: blocks
// that a file system has yet to allocate would be measured, too.
void makeFile(const std::string& path, uint64_t bytes);

// Keys of 100 bytes in no order, as hashes are.
std::string keyOf(uint64_t number);
std::vector<std::string> keysOf(uint64_t first, size_t count);

class Pool {
 public:
    // Mounts the file in a directory that must be a new one; what the file holds is lost.
    // @param file  empty: none is mounted
    Pool(const std::string& directory, const std::string& file);

    Client& client() { return *client_; }
    TransferEngine& engine() { return *engine_; }
    // Puts them with as many calls as it takes. The first has that number.
    void fill(uint64_t first, size_t count, size_t size, size_t batch);
    // Where their bytes are in the mounted file: a request for each extent, with the memory that
    // follows.
    std::vector<TransferRequest> requestsFor(const std::vector<std::string>& keys,
                                             TransferRequest::OpCode op, char* memory);

 private:
    std::shared_ptr<TransferEngine> engine_;
    std::shared_ptr<Client> client_;
    FileBufferID file_ = 0;
    uint64_t region_bytes_ = 0;
};

// Every object must be good.
template <class Results>
void requireAll(const Results& results, const char* what);

// Directories that nobody has used before: files of SQLite in a folder, or stores of one etcd.
class NewDirectories {
 public:
    // @param base  a folder, or etcd://host:port
    explicit NewDirectories(std::string base) : base_(std::move(base)) {}
    std::string next() const;

 private:
    const std::string base_;
};

[[noreturn]] void failWith(const char* what, ErrorCode code);

template <class Results>
void requireAll(const Results& results, const char* what) {
    for (const auto& result : results) {
        if (!result) failWith(what, result.error());
    }
}

}  // namespace mooncake::store_bench
