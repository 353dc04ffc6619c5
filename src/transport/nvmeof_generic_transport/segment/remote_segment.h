// SPDX-License-Identifier: Apache-2.0
// One segment as seen by an initiator: its connection, its files, and the requests that wait for
// them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "connection_watch.h"
#include "file_pins.h"
#include "flat_table.h"
#include "namespace_table.h"
#include "remote_descriptor.h"
#include "request_owner.h"
#include "retry_pace.h"
#include "segment_counters.h"
#include "segment_state.h"
#include "shared_namespace.h"
#include "transport/nvmeof_generic_transport/common/log_pace.h"
#include "transport/nvmeof_generic_transport/common/read_section.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"
#include "waiting_requests.h"

namespace mooncake::nvmeof_generic {

/// What the segments of a transport stand on, and what they are to do.
struct SegmentContext {
    using Clock = std::chrono::steady_clock;

    /// Looks a segment's descriptor up; `fresh`: at the metadata service, not in the cache. May
    /// block.
    std::function<Result<RemoteDescriptor>(uint64_t segment, bool fresh)> describe;
    /// Whether the engine still knows a segment. Must not block.
    std::function<bool(uint64_t segment)> isKnown = [](uint64_t) { return true; };
    Initiator* initiator = nullptr;
    IoPool* pool = nullptr;
    RequestOwner* owner = nullptr;
    std::chrono::milliseconds patience{0};  ///< for a request to wait for its connection
    /// For a connection to be down while I/O waits for it in the kernel, before it is given up.
    std::chrono::milliseconds downLimit{0};
    /// For the kernel to have an I/O, before the connection is given up although it is up.
    std::chrono::milliseconds ioLimit{0};
    /// Asks for keepHouse() at a time. Must not block.
    std::function<void(Clock::time_point when)> callAt;
    /// Without requests for so long a segment lets go of all that it has.
    std::chrono::milliseconds rest = std::chrono::minutes(5);
    bool refuseUnalignedWrites = false;
    std::string kernelRelease;  ///< of this machine, as uname(2) tells it
    std::function<Result<std::thread>(std::function<void()> body)> startThread;
};

/// Where requests for one file of a segment go.
struct FileRoute {
    std::shared_ptr<SharedNamespace> ns;
    std::shared_ptr<FileCounters> counters;
    uint32_t align = 1;  ///< bytes, as its node publishes it

    /// @return 0, or why the file does not take a request
    int refusal(const IoRequest& request, const SharedNamespace::Opening& opening,
                bool aligned) const {
        if (request.op == IoOp::kRead) return 0;
        if (opening.readOnly) return EROFS;
        const uint64_t unit = std::max(align, opening.blockSize);
        return aligned && (request.offset | request.length) % unit != 0 ? EINVAL : 0;
    }
};

/// By file number.
struct alignas(64) FileRoutes : Retirable, FlatTable<FileRoute> {
    using FlatTable::FlatTable;
};

/// Callers never wait here: what takes time (metadata, connecting, opening devices) is done by a
/// thread of the segment's own, and requests wait for it in the segment's queue, each with a
/// deadline. A segment that does not answer holds up nobody else. The thread is started by
/// keepHouse() when something waits, sleeps while nothing does, and ends after a long time without
/// requests, when connection and devices go, too. A file is opened when the first request asks for
/// it. The number of a request means the same file for as long as this object lives (file_pins.h);
/// what it counts and logs goes by number.
class RemoteSegment : public Retirable {
 public:
    using Clock = std::chrono::steady_clock;

    /// @param context, namespaces, retired, client  outlive this object
    RemoteSegment(uint64_t id, const SegmentContext& context, NamespaceTable& namespaces,
                  Retired& retired, NamespaceClient& client);
    /// After stop().
    ~RemoteSegment() override;

    // For those who submit, within a ReadSection.

    /// @return null: the file was not asked for before; its requests wait
    const FileRoute* route(uint32_t fileId) const noexcept { return routes_.read()->find(fileId); }

    /// Lets a request wait until its file is open, or ends it where there is no use in waiting.
    void wait(uint32_t fileId, const IoRequest& request, int retries) noexcept;

    /// To be called when requests of this segment were handed to the pool.
    void noteSubmitted() noexcept;

    // For those who hear of the end of requests. None blocks.

    /// Has the segment look at what may be the cause.
    void onIoError(SharedNamespace& from, uint32_t fileId, int error) noexcept;
    /// Lets a request that failed be tried again. @return false: that is not possible
    bool repeat(uint32_t fileId, const IoRequest& request, int retries) noexcept;
    /// Lets a request that the kernel never had wait on. @return 0, or the error with which it ends
    int takeBack(uint32_t fileId, const IoRequest& request, int retries,
                 Clock::time_point since) noexcept;
    /// Of any file, also one without a route.
    std::shared_ptr<FileCounters> counters(uint32_t fileId) const noexcept;

    // For the housekeeper.

    /// Starts the segment's thread where that is wanted. Ends the waiting requests whose time is
    /// up, also while the thread is held up; and while I/O is with the kernel, has the thread look
    /// at the connection when nothing moves.
    /// @return when it wants to be called again; time_point::max(): when `callAt` says so
    Clock::time_point keepHouse(Clock::time_point now);

    /// Refuses new requests and has the segment's thread end. Does not block.
    void beginStop();
    /// Whether a segment that is being stopped has no thread any more.
    bool ended() const;
    /// Ends the waiting requests with ECANCELED, closes the devices, and waits until the kernel has
    /// given back what it has: a connection that has died is given up without waiting for
    /// `downLimit`. keepHouse() must go on being called meanwhile. May take as long as a connect
    /// that has begun.
    void stop();

    /// All but the paths. Thread-safe; waits for nothing but a lock that is held for a moment.
    SegmentStats stats() const;
    /// Of its connection now; null where there is none, or one over no network. As stats().
    std::shared_ptr<const PathBoard> paths() const;

 private:
    enum class Last { kNo, kYes };
    enum class Work { kLookAtConnection, kLookAtNamespaces, kAttempt, kTidyUp, kRest, kStop };
    enum class Opened { kYes, kNotThere, kBusy };

    void moveTo(SegmentState next) MC_REQUIRES(mutex_);
    bool addWaiting(WaitingRequest waiting, Clock::time_point since) noexcept MC_REQUIRES(mutex_);
    void wakeThread() noexcept MC_REQUIRES(mutex_);
    void startThreadIfWanted();
    Clock::time_point endLate(Clock::time_point now);
    Clock::time_point watch(Clock::time_point now);
    /// Ends the waiting requests that `take` takes out, with the lock held, or lets them wait anew
    /// where they may be tried again and this is not the last word.
    template <class Take>
    void endWaiting(const Take& take, const Error& error, Last last = Last::kNo) noexcept
        MC_EXCLUDES(mutex_);
    bool waitAnew(WaitingRequest waiting, const Error& error, Last last, Clock::time_point now)
        MC_REQUIRES(mutex_);
    void endAllWaiting(const Error& error);

    // The steps of the segment's thread (segment_thread.cpp). Those that block do so without the
    // lock.
    void run();
    Work nextWork();
    Clock::time_point attemptTime() const MC_REQUIRES(mutex_);
    void attempt();
    void lookAtConnection();
    void giveUpConnection(std::chrono::milliseconds patience);
    void giveUpLive(const std::string& why);
    std::optional<uint64_t> beginGivingUp();
    void waitForKernel(std::chrono::milliseconds patience);
    void lookAtNamespaces();
    void tidyUp();
    bool rest();
    void finish();
    void seeOut();
    void dropConnection();
    bool needsLook(const std::set<uint32_t>& wanted, Clock::time_point now) const;
    Result<> bringUp(bool fresh, const std::set<uint32_t>& wanted);
    Result<RemoteDescriptor> describe(bool fresh);
    Result<> useConnection();
    Opened openFile(uint32_t fileId, bool live);
    const FileRoute& attach(uint32_t fileId, const RemoteFile& remote);
    bool sendWaiting(uint32_t fileId, bool live);
    void noteFailure(const Error& error);
    void noteWait(std::string what) MC_EXCLUDES(mutex_);
    void noteNotOpened(const std::string& why);
    template <class Keep>
    void detachFilesExcept(const Keep& keep);
    void publishRoutes();
    IoDevice::Activity activity() const;

    const uint64_t id_;
    const std::string name_;
    const SegmentContext& context_;
    NamespaceTable& namespaces_;
    Retired& retired_;
    NamespaceClient& client_;

    Published<FileRoutes> routes_;  // replaced by the segment's thread

    // Held neither over a system call that could block nor over a call of the owner.
    mutable Mutex mutex_;
    CondVar wake_;
    SegmentState state_ MC_GUARDED_BY(mutex_) = SegmentState::kIdle;
    bool hasThread_ MC_GUARDED_BY(mutex_) = false;
    bool wantsThread_ MC_GUARDED_BY(mutex_) = false;
    bool refresh_ MC_GUARDED_BY(mutex_) = false;   // look at descriptor and connection again
    bool suspects_ MC_GUARDED_BY(mutex_) = false;  // look at namespaces
    bool look_ MC_GUARDED_BY(mutex_) = false;      // I/O gets on no more: is the connection up?
    WaitingRequests waiting_ MC_GUARDED_BY(mutex_);
    ConnectionWatch watch_ MC_GUARDED_BY(mutex_);
    RetryPace pace_ MC_GUARDED_BY(mutex_);
    Error lastError_ MC_GUARDED_BY(mutex_){0, {}};  // of the last attempt; code 0: it succeeded
    std::string waitsFor_ MC_GUARDED_BY(mutex_) = "its thread";  // what requests wait for
    LogPace ioLog_ MC_GUARDED_BY(mutex_),
        attemptLog_ MC_GUARDED_BY(mutex_), endLog_ MC_GUARDED_BY(mutex_);
    SegmentCounters counters_ MC_GUARDED_BY(mutex_);
    std::string publishedName_ MC_GUARDED_BY(mutex_);
    uint64_t connects_ MC_GUARDED_BY(mutex_) = 0;
    uint64_t failedAttempts_ MC_GUARDED_BY(mutex_) = 0;
    /// Of which the kernel may have I/O: those of the files, and those that were detached.
    std::vector<std::shared_ptr<SharedNamespace>> namespacesInUse_ MC_GUARDED_BY(mutex_);
    bool closing_ MC_GUARDED_BY(mutex_) = false;  // some of them are
    const Connection* current_ MC_GUARDED_BY(mutex_) = nullptr;
    std::shared_ptr<const PathBoard> paths_ MC_GUARDED_BY(mutex_);  // of current_

    // Set while keepHouse() is going to be called because of I/O in the kernel.
    std::atomic<bool> watched_{false};
    std::atomic<Clock::time_point> countAt_{};  // not before

    // The thread's own.
    RemoteDescriptor descriptor_;
    FilePins pins_;
    Clock::time_point looked_{};  // for files, at the metadata service
    /// Since when no device has been opened, while some should be; max(): none should.
    Clock::time_point notOpenedSince_ = Clock::time_point::max();
    std::shared_ptr<Connection> connection_;
    std::map<uint32_t, FileRoute> files_;
    uint64_t restSeen_ = 0;  // requests that had ended, when last looked
    Clock::time_point restAt_{};
    bool rested_ = false;  // what is known may be old

    Mutex threadMutex_;  // held over starting and joining; before mutex_
    std::thread thread_ MC_GUARDED_BY(threadMutex_);  // the housekeeper's, and stop()'s
};

}  // namespace mooncake::nvmeof_generic
