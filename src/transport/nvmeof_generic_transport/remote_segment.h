// SPDX-License-Identifier: Apache-2.0
// One segment as seen by an initiator: its connection, its open files, and the requests that wait
// for them.
#pragma once

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

#include "remote_descriptor.h"
#include "retry_pace.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// What a segment stands on. The initiator outlives the segment; the pool is drained between stop()
/// and the destructor.
struct RemoteSegmentContext {
    /// Looks the segment's descriptor up; `fresh`: at the metadata service, not in the cache. May
    /// block.
    std::function<Result<RemoteDescriptor>(bool fresh)> describe;
    Initiator* initiator;
    IoPool* pool;
    /// Told how each request ended; called from I/O workers, the segment's thread and submit().
    /// Must not block.
    std::function<void(void* context, int error, uint64_t bytes)> ended;
    std::chrono::milliseconds patience;  ///< for a request to wait for its connection
};

/// Callers never wait here: what takes time (metadata, connecting, opening devices) is done by a
/// thread of the segment's own, and requests wait for it in the segment's queue, each with a
/// deadline. A segment that does not answer holds up nobody else. The thread sleeps while nothing
/// waits. A file is opened when the first request asks for it.
class RemoteSegment {
 public:
    RemoteSegment(std::string name, RemoteSegmentContext context);
    /// Disconnects. After stop(), and after the pool gave back all I/O.
    ~RemoteSegment();
    RemoteSegment(const RemoteSegment&) = delete;
    RemoteSegment& operator=(const RemoteSegment&) = delete;

    /// Sends requests on their way. Each ends through `ended` exactly once. Thread-safe; never
    /// blocks.
    void submit(uint32_t fileId, const IoRequest* requests, size_t count);

    /// Ends the waiting requests with ECANCELED, refuses new ones and closes the devices. May take
    /// as long as a connect that has begun. I/O in the kernel ends through the pool.
    void stop();

 private:
    using Clock = std::chrono::steady_clock;
    class FileListener;
    struct OpenFile {
        std::shared_ptr<FileListener> listener;
        std::shared_ptr<IoDevice> device;
    };
    struct Waiting {
        uint32_t fileId;
        Clock::time_point deadline;
        IoRequest request;
    };

    void onIoError(uint32_t fileId, const FileListener* listener, int error);

    // The steps of the segment's thread. Those that block run without the lock.
    void run();
    Clock::time_point wakeTime() const;
    void attempt(std::unique_lock<std::mutex>& lock);
    Result<> bringUp(bool fresh, const std::set<uint32_t>& wanted);
    Result<> useConnection();
    /// @return false when the device is not there yet: the requests go on waiting
    bool openFile(uint32_t fileId);
    void noteFailure(std::unique_lock<std::mutex>& lock, const Error& error);

    void closeFiles();
    /// Ends the waiting requests that `which` picks.
    void endWaiting(const std::function<bool(const Waiting&)>& which, const Error& error);

    const std::string name_;
    const RemoteSegmentContext context_;

    // Held neither over a system call that could block nor over `ended`.
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    bool suspect_ = false;  // I/O failed: look at descriptor and connection again
    std::unordered_map<uint32_t, OpenFile> files_;
    std::vector<Waiting> waiting_;  // in the order of their deadlines
    RetryPace pace_;
    Error lastError_{0, {}};  // of the last attempt; code 0: it succeeded

    // The thread's own.
    RemoteDescriptor descriptor_;
    std::shared_ptr<Connection> connection_;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
