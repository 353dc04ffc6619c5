// SPDX-License-Identifier: Apache-2.0
// One segment as seen by an initiator: its connection, its open files, and the requests that wait
// for them.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "connection_watch.h"
#include "file_pins.h"
#include "log_pace.h"
#include "open_files.h"
#include "remote_descriptor.h"
#include "retry_pace.h"
#include "segment_counters.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"
#include "waiting_requests.h"

namespace mooncake::nvmeof_generic {

/// What a segment stands on. The initiator outlives the segment; the pool is drained between stop()
/// and the destructor.
struct RemoteSegmentContext {
    using Clock = std::chrono::steady_clock;

    /// Looks the segment's descriptor up; `fresh`: at the metadata service, not in the cache. May
    /// block.
    std::function<Result<RemoteDescriptor>(bool fresh)> describe;
    Initiator* initiator;
    IoPool* pool;
    /// Told how each request ended, with the counters of its file; called from I/O workers, the
    /// segment's thread, submit() and expire(). Must not block.
    std::function<void(void* context, int error, uint64_t bytes, FileCounters& counters)> ended;
    std::chrono::milliseconds patience;  ///< for a request to wait for its connection
    /// For a connection to be down while I/O waits for it in the kernel, before it is given up.
    std::chrono::milliseconds downLimit;
    /// When a request was submitted, by its context. Must not block.
    std::function<Clock::time_point(void* context)> submittedAt;
    /// Asks for expire() at a time. Must not block.
    std::function<void(Clock::time_point when)> expireAt;
};

/// Callers never wait here: what takes time (metadata, connecting, opening devices) is done by a
/// thread of the segment's own, and requests wait for it in the segment's queue, each with a
/// deadline. A segment that does not answer holds up nobody else. The thread sleeps while nothing
/// waits. A file is opened when the first request asks for it. The number of a request means the
/// same file for as long as this object lives (file_pins.h); what it counts and logs goes by
/// number.
class RemoteSegment {
 public:
    using Clock = std::chrono::steady_clock;

    RemoteSegment(std::string name, RemoteSegmentContext context);
    /// Starts the thread. Before anything else. @return as startThread()
    Result<> start();
    /// Disconnects. After stop(), and after the pool gave back all I/O.
    ~RemoteSegment();
    RemoteSegment(const RemoteSegment&) = delete;
    RemoteSegment& operator=(const RemoteSegment&) = delete;

    /// Sends requests on their way. Each ends through `ended` exactly once. Thread-safe; never
    /// blocks.
    /// @param requests  their contexts are addresses of objects aligned to 2 bytes at least
    /// @param retries  how often each may be tried again after an error that can pass (canPass(),
    /// or the end of its namespace): a read always, a write as long as the kernel has not had it.
    /// Each attempt may wait as long as the first; the next begins when the connection is up again.
    /// What the pool gives back because the kernel never had it has not been tried: it waits on,
    /// until its time is up.
    void submit(uint32_t fileId, const IoRequest* requests, size_t count, int retries = 0);

    /// Ends the waiting requests whose time is up, also while the segment's own thread is held up;
    /// and while I/O is with the kernel, has that thread look at the connection when nothing moves.
    /// @return when it wants to be called again; time_point::max(): when `expireAt` says so
    Clock::time_point expire(Clock::time_point now);

    /// Refuses new requests and has the segment's thread end; stop() waits for that. For several
    /// segments that are to end at one time. Does not block.
    void beginStop();

    /// Ends the waiting requests with ECANCELED, refuses new ones, closes the devices, and waits
    /// until the kernel has given back what it has: a connection that has died is given up without
    /// waiting for `downLimit`. expire() must go on being called meanwhile. May take as long as a
    /// connect that has begun.
    void stop();

    /// Thread-safe; waits for nothing but a lock that is held for a moment.
    SegmentStats stats() const;

 private:
    class FileListener;
    enum class Last { kNo, kYes };

    void onIoError(uint32_t fileId, const FileListener* listener, int error);
    bool repeat(uint32_t fileId, const IoRequest& request, int retries);
    bool takeBack(uint32_t fileId, const IoRequest& request, int retries, Clock::time_point since);

    // The steps of the segment's thread. Those that block run without the lock.
    void run();
    Clock::time_point wakeTime() const;
    void attempt(std::unique_lock<std::mutex>& lock);
    void lookAtConnection(std::unique_lock<std::mutex>& lock);
    void giveUpConnection(std::unique_lock<std::mutex>& lock, std::chrono::milliseconds patience);
    bool needsLook(const std::set<uint32_t>& wanted, Clock::time_point now) const;
    Result<> bringUp(bool fresh, const std::set<uint32_t>& wanted);
    Result<RemoteDescriptor> describe(bool fresh);
    Result<> useConnection();
    /// @return false when the device is not there yet: the requests go on waiting
    bool openFile(uint32_t fileId, bool live);
    void sendWaiting(uint32_t fileId, bool live);
    void noteFailure(std::unique_lock<std::mutex>& lock, const Error& error);

    Clock::time_point endLate(Clock::time_point now);
    Clock::time_point watch(Clock::time_point now);
    void keepWatched();
    void send(const std::shared_ptr<IoDevice>& device, const IoRequest* requests, size_t count,
              int retries);
    void closeFiles();
    void closeFilesExcept(const OpenFiles::Predicate& kept);
    /// Ends the waiting requests that `which` picks, or lets them wait anew where they may be tried
    /// again and this is not the last word.
    void endWaiting(const WaitingRequests::Predicate& which, const Error& error,
                    Last last = Last::kNo);

    const std::string name_;
    const RemoteSegmentContext context_;

    // Held neither over a system call that could block nor over `ended`.
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    bool suspect_ = false;    // I/O failed: look at descriptor and connection again
    bool connected_ = false;  // connection_ is set
    bool look_ = false;       // I/O gets on no more: see whether the connection is up
    OpenFiles files_;
    WaitingRequests waiting_;
    ConnectionWatch watch_;
    RetryPace pace_;
    Error lastError_{0, {}};  // of the last attempt; code 0: it succeeded
    LogPace ioLog_, attemptLog_, endLog_;
    SegmentCounters counters_;
    std::string publishedName_;
    uint64_t connects_ = 0, failedAttempts_ = 0;

    // Set while expire() is going to be called because of I/O in the kernel.
    std::atomic<bool> watched_{false};

    // The thread's own.
    RemoteDescriptor descriptor_;
    FilePins pins_;
    Clock::time_point looked_{};  // for files, at the metadata service
    std::shared_ptr<Connection> connection_;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
