// SPDX-License-Identifier: Apache-2.0
// Objects in and out through the engine: from and to the caller's memory, with checksums that are
// computed while other bytes are on their way.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "mooncake_store/types.h"
#include "object_entry.h"
#include "staging_pool.h"
#include "transfer_engine.h"

namespace mooncake::store {

// What became of one object, or page.
enum class Outcome {
    kOk,
    kInvalid,           // the slices hold fewer bytes than the extents, or one is null
    kChecksumMismatch,  // the bytes are not those that were written
    kIoError,           // a request failed; of a write, the outcome is unknown
    kTimeout,           // not all of it was submitted before the time was over
};

struct Place {
    SegmentHandle segment = 0;
    FileBufferID file = 0;
    uint64_t offset = 0;  // bytes from the begin of the file; whole blocks of 4 KiB
};

struct ExtentIo {
    Place place;
    uint64_t length = 0;   // bytes; the last block of the extent is its own, to the end
    Checksum128 checksum;  // what a get compares with, and what a put computes
};

// The object's bytes are those of the extents, one after the other, and go to or come from the
// slices in this order. Slices may have more room than the object has bytes.
struct GetItem {
    std::span<const Slice> memory;
    std::span<const ExtentIo> extents;
    Outcome outcome = Outcome::kOk;
};
struct PutItem {
    std::span<const Slice> memory;
    std::span<ExtentIo> extents;
    Outcome outcome = Outcome::kOk;
};

// A write of whole blocks, from memory that the caller keeps.
struct PageWrite {
    Place place;
    const void* bytes = nullptr;
    size_t length = 0;
    Outcome outcome = Outcome::kOk;
};

// Says what is to be written beside the data once their checksums are known.
class Describer {
 public:
    virtual ~Describer() = default;
    // Called once in each put, while data are still on their way. The items' checksums are those of
    // the objects; of an item whose outcome is not kOk, they say nothing.
    // @return kept by the describer until put() returns
    virtual std::span<PageWrite> pages() noexcept = 0;
};

struct DataOptions {
    size_t staging_bytes = 16 << 20;  // for all calls together
    // On their way at one time, for each call.
    size_t window_bytes = 64 << 20;
    size_t window_requests = 1024;
};

// Counted since the start; bytes are those of objects.
struct DataCounts {
    uint64_t direct_bytes = 0;
    uint64_t staged_bytes = 0;  // copied on their way
    uint64_t requests = 0;
    uint64_t checksum_mismatches = 0;  // objects
    uint64_t io_errors = 0;            // objects
    uint64_t timeouts = 0;             // objects
};

// Thread rule: any thread. The engine outlives the object, and the object its calls.
//
// Calls return when every request has ended, so that nobody touches the caller's memory any more:
// what limits that time is the transport. `until` limits what is submitted: what is not on its way
// by then is not sent. Throws std::bad_alloc before the first request and nothing later.
class DataPath {
 public:
    using TimePoint = std::chrono::steady_clock::time_point;

    explicit DataPath(TransferEngine& engine, const DataOptions& options = {});
    ~DataPath();
    DataPath(const DataPath&) = delete;
    DataPath& operator=(const DataPath&) = delete;

    // Sets each item's outcome. The memory of an item that is not kOk holds anything.
    void get(std::span<GetItem> items, TimePoint until);

    // Sets each item's outcome and the checksums of its extents. Items that follow each other with
    // the same memory and the same lengths, such as replicas, are computed once. The caller's
    // memory must not change meanwhile. The last block of an extent is filled up with zeros.
    void put(std::span<PutItem> items, Describer& describer, TimePoint until);

    DataCounts counts() const;

 private:
    class Job;
    class Lent;

    TransferEngine& engine_;
    const DataOptions options_;
    StagingPool staging_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Job>> spare_;  // their memory serves the next calls

    std::atomic<uint64_t> direct_bytes_{0};
    std::atomic<uint64_t> staged_bytes_{0};
    std::atomic<uint64_t> requests_{0};
    std::atomic<uint64_t> checksum_mismatches_{0};
    std::atomic<uint64_t> io_errors_{0};
    std::atomic<uint64_t> timeouts_{0};
};

}  // namespace mooncake::store
