// SPDX-License-Identifier: Apache-2.0
// The segments that a transport reads and writes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "remote_segment.h"

namespace mooncake::nvmeof_generic {

/// Finds each request's way: segment and file, the namespace that this is now, its device. Whoever
/// submits takes no lock and writes to nothing that threads share: what the look-ups need is read
/// in a ReadSection. Thread-safe.
class RemoteSegments : public NamespaceClient {
 public:
    using Clock = std::chrono::steady_clock;

    struct Request {
        uint64_t segment;
        uint32_t file;
        /// How often it may be tried again after an error that can pass (canPass(), or the end of
        /// its namespace): a read always, a write as long as the kernel has not had it. Each
        /// attempt may wait as long as the first; the next begins when the connection is up again.
        /// What the pool gives back because the kernel never had it has not been tried: it waits
        /// on, until its time is up.
        int retries;
        /// Its context is the address of an object aligned to 2 bytes at least.
        IoRequest io;
    };

    /// @param context  its initiator outlives this object; its pool is drained between stop() and
    ///     the destructor
    explicit RemoteSegments(SegmentContext context);
    /// After stop(), and after the pool gave back all I/O.
    ~RemoteSegments() override;

    /// Makes what requests to a segment need. Throws std::bad_alloc.
    void prepare(uint64_t segment);

    /// Sends requests on their way. Each ends through the owner exactly once. Never blocks, and
    /// takes no memory from requests whose files are open; one without memory to wait ends with
    /// ENOMEM. A segment that was not prepared, or that was let go of, ends with ECANCELED.
    void submit(const Request* requests, size_t count) noexcept;

    /// Does what is due. To be called at the time that it returns, when the context's callAt() says
    /// so, and by one thread only.
    Clock::time_point keepHouse(Clock::time_point now);

    /// Takes a namespace back that this process exports itself: I/O to it ends, and none begins.
    /// @param limit  how long to wait for the I/O that the kernel has
    /// @return whether that has ended
    bool withdraw(const std::string& subsystemNqn, uint32_t nsid, std::chrono::milliseconds limit);

    /// Refuses new requests, and lets all segments end. Does not block.
    void beginStop();
    /// Ends everything. keepHouse() must go on being called meanwhile.
    void stop();

    bool empty() const;
    std::vector<SegmentStats> stats() const;
    /// @return none where the segment is not known, or has no connection over a network
    std::vector<PathStats> paths(uint64_t segment) const;

 private:
    using Segments = std::map<uint64_t, std::unique_ptr<RemoteSegment>>;
    struct alignas(64) Table : Retirable, FlatTable<RemoteSegment*> {
        using FlatTable::FlatTable;
    };

    void onIoDone(SharedNamespace& from, void* context, int error,
                  uint64_t bytes) noexcept override;
    void onIoReturned(const IoRequest& request) noexcept override;
    void end(RemoteSegment* segment, uint32_t fileId, void* context, int error,
             uint64_t bytes) noexcept;

    RemoteSegment* find(uint64_t segment) const noexcept;
    void publish() MC_REQUIRES(mutex_);
    void letGoOfUnknown();
    void reap();

    const SegmentContext context_;
    Retired retired_;
    NamespaceTable namespaces_;
    Published<Table> table_;
    FileCounters lost_;  // of requests whose segment is gone

    mutable Mutex mutex_;
    Segments segments_ MC_GUARDED_BY(mutex_);
    bool stopping_ MC_GUARDED_BY(mutex_) = false;
    bool added_ MC_GUARDED_BY(mutex_) = false;  // since the unknown ones were looked for
};

}  // namespace mooncake::nvmeof_generic
