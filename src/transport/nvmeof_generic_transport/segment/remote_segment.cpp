// SPDX-License-Identifier: Apache-2.0
#include "remote_segment.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "repeated_request.h"
#include "retry_rules.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// How long one file may keep the segment's thread waiting for its device, while others wait for
// theirs.
constexpr std::chrono::milliseconds kOpenSlice{200};

// Until the next look for a device that was not there.
constexpr std::chrono::milliseconds kOpenPause{100};

// Between two looks at the metadata and the connection that failing I/O asks for.
constexpr std::chrono::milliseconds kSuspectPause{500};

// Before a request is tried again, and until the next look at a connection that is not up yet.
constexpr std::chrono::milliseconds kRetryPause{200};

// By when the kernel has taken a connection for lost over which the target does not answer when it
// is asked: its limit for that command, and up to a second until it looks.
constexpr std::chrono::milliseconds kAnswerLimit{1500};

// For the kernel to fail by itself what it has, once its time for that is as good as over.
constexpr std::chrono::milliseconds kFailing{1500};

// Between two looks whether I/O has ended, while nothing else is to be done.
constexpr std::chrono::milliseconds kSeeOutPause{20};

// Requests handed to the pool at once.
constexpr size_t kAtOnce = 64;

// The namespace is gone: the descriptor will never do I/O again. EOPNOTSUPP is the target's answer
// (Invalid Namespace, drivers/nvme/host/core.c nvme_error_status) for as long as this kernel has
// not heard of it yet; the others come from the device that it has removed.
bool meansGone(int error) {
    return error == EOPNOTSUPP || error == ENODATA || error == ENOSPC || error == ENODEV ||
           error == ENXIO;
}

bool areThere(const FilePins& pins, const std::set<uint32_t>& files) {
    return std::all_of(files.begin(), files.end(), [&](uint32_t id) { return pins.isThere(id); });
}

// Neither a descriptor that makes no sense nor a missing permission will be different in a second.
bool isHopeless(int error) {
    return error == EINVAL || error == EACCES;
}

std::string leftOut(uint64_t lines) {
    return lines == 0 ? "" : " (" + std::to_string(lines) + " such lines left out)";
}

}  // namespace

/// Hears from the pool how I/O on one opening of one file ended.
class RemoteSegment::FileListener : public IoListener {
 public:
    FileListener(RemoteSegment& segment, uint32_t fileId, std::shared_ptr<FileCounters> counters)
        : segment_(segment), fileId_(fileId), counters_(std::move(counters)) {}

    void onIoDone(void* context, int error, uint64_t bytes) noexcept override {
        // The note comes first: whoever sees the failed request finds the segment mending already.
        if (error != 0 && error != EINVAL && error != ECANCELED)
            segment_.onIoError(fileId_, this, error);
        if (const auto repeated = RepeatedRequest::unwrap(context)) {
            const IoRequest& request = repeated->request;
            context = request.context;
            // A namespace that is gone can be back when its file is registered again.
            const bool passes = canPass(error) || meansGone(error);
            if (request.op == IoOp::kRead && passes && repeated->left > 0 &&
                segment_.repeat(fileId_, request, repeated->left - 1)) {
                return;
            }
        }
        segment_.context_.ended(context, error, bytes, *counters_);
    }

    void onIoReturned(const IoRequest& returned) noexcept override {
        IoRequest request = returned;
        int retries = 0;
        Clock::time_point since;
        if (const auto repeated = RepeatedRequest::unwrap(returned.context)) {
            request = repeated->request;
            retries = repeated->left;
            since = repeated->since;
        } else {
            since = segment_.context_.submittedAt(returned.context);
        }
        if (!segment_.takeBack(fileId_, request, retries, since)) {
            segment_.context_.ended(request.context, ECANCELED, 0, *counters_);
        }
    }

 private:
    RemoteSegment& segment_;
    const uint32_t fileId_;
    const std::shared_ptr<FileCounters> counters_;
};

RemoteSegment::RemoteSegment(std::string name, RemoteSegmentContext context)
    : name_(std::move(name)),
      context_(std::move(context)),
      waiting_(context_.patience),
      watch_(context_.downLimit) {}

Result<> RemoteSegment::start() {
    auto started = startThread("nvmeof-segment", [this] { run(); });
    if (!started.ok()) return started.error();
    thread_ = started.take();
    return {};
}

RemoteSegment::~RemoteSegment() {
    stop();
}

void RemoteSegment::beginStop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
}

void RemoteSegment::stop() {
    beginStop();
    if (thread_.joinable()) thread_.join();
    endWaiting([](const WaitingRequest&) { return true; },
               Error{ECANCELED, "the transport is being shut down"}, Last::kYes);
}

void RemoteSegment::submit(uint32_t fileId, const IoRequest* requests, size_t count, int retries) {
    retries = std::max(retries, 0);
    std::shared_ptr<IoDevice> device;
    std::shared_ptr<FileCounters> counters;
    int refusal = 0;
    bool first = false;
    Clock::time_point now;
    {
        std::lock_guard lock(mutex_);
        if (stopping_) {
            refusal = ECANCELED;
        } else if (device = files_.device(fileId); !device) {
            now = Clock::now();
            if (retries == 0 && pace_.failingFor(context_.patience, now) &&
                now < pace_.notBefore()) {
                refusal = lastError_.code;
            } else {
                first = waiting_.empty();
                for (size_t i = 0; i < count; ++i) {
                    waiting_.add({fileId, requests[i], retries}, now);
                }
            }
        }
        if (refusal != 0) counters = counters_.of(fileId);
    }
    if (device) {
        send(device, requests, count, retries);
    } else if (refusal != 0) {
        for (size_t i = 0; i < count; ++i) {
            context_.ended(requests[i].context, refusal, 0, *counters);
        }
    } else {
        if (first) context_.expireAt(now + context_.patience);
        wake_.notify_one();
    }
}

void RemoteSegment::send(const std::shared_ptr<IoDevice>& device, const IoRequest* requests,
                         size_t count, int retries) {
    if (retries == 0) {
        context_.pool->submit(device, requests, count);
        return keepWatched();
    }
    std::array<IoRequest, kAtOnce> some;
    const auto now = Clock::now();
    for (size_t at = 0; at < count;) {
        size_t filled = 0;
        for (; at < count && filled < some.size(); ++at, ++filled) {
            some[filled] = requests[at];
            // Without memory there is no second attempt.
            std::unique_ptr<RepeatedRequest> repeated(
                new (std::nothrow) RepeatedRequest{requests[at], retries, now});
            if (repeated) some[filled] = RepeatedRequest::wrap(std::move(repeated));
        }
        context_.pool->submit(device, some.data(), filled);
    }
    keepWatched();
}

// After submitting: see watch().
void RemoteSegment::keepWatched() {
    if (watched_.load(std::memory_order_relaxed)) return;
    if (!watched_.exchange(true)) context_.expireAt(Clock::now() + watch_.pause());
}

/// @return false when the segment is being stopped
bool RemoteSegment::repeat(uint32_t fileId, const IoRequest& request, int retries) {
    const auto now = Clock::now();
    bool first = false;
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return false;
        first = waiting_.empty();
        waiting_.add({fileId, request, retries, now + kRetryPause}, now);
        counters_.of(fileId)->noteRetry();
    }
    if (first) context_.expireAt(now + context_.patience);
    wake_.notify_one();
    return true;
}

/// @return false when the segment is being stopped
bool RemoteSegment::takeBack(uint32_t fileId, const IoRequest& request, int retries,
                             Clock::time_point since) {
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return false;
        waiting_.add({fileId, request, retries}, since);
    }
    context_.expireAt(since + context_.patience);
    wake_.notify_one();
    return true;
}

void RemoteSegment::onIoError(uint32_t fileId, const FileListener* listener, int error) {
    std::shared_ptr<IoDevice> gone;
    std::optional<uint64_t> line;
    {
        std::lock_guard lock(mutex_);
        suspect_ = true;
        if (meansGone(error)) gone = files_.takeOut(fileId, listener);
        line = ioLog_.admit(Clock::now());
    }
    if (line) {
        LOG(WARNING) << name_ << ": I/O on file " << fileId << " failed: " << strerrordesc_np(error)
                     << leftOut(*line);
    }
    if (gone) context_.pool->closeDevice(gone);
    wake_.notify_one();
}

void RemoteSegment::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto when = wakeTime();
        if (look_) {
            lookAtConnection(lock);
        } else if (when == Clock::time_point::max()) {
            wake_.wait(lock);
        } else if (when > Clock::now()) {
            wake_.wait_until(lock, when);
        } else {
            attempt(lock);
        }
    }
    // The memory of I/O is the kernel's until it gives it back.
    lock.unlock();
    closeFiles();
    lock.lock();
    while (files_.activity().outstanding > 0) {
        LOG_EVERY_T(INFO, 5) << name_ << ": waiting until the kernel has ended the I/O it has";
        if (look_) lookAtConnection(lock);
        wake_.wait_for(lock, kSeeOutPause);
    }
}

RemoteSegment::Clock::time_point RemoteSegment::wakeTime() const {
    if (waiting_.empty()) return suspect_ ? pace_.notBefore() : Clock::time_point::max();
    return std::max(waiting_.firstDue(), pace_.notBefore());
}

RemoteSegment::Clock::time_point RemoteSegment::expire(Clock::time_point now) {
    return std::min(endLate(now), watch(now));
}

RemoteSegment::Clock::time_point RemoteSegment::watch(Clock::time_point now) {
    // Who submits from now on asks for another look. What was submitted before is counted here: the
    // device's lock was taken for it before it is taken now.
    if (!watched_.exchange(false)) return Clock::time_point::max();
    std::lock_guard lock(mutex_);
    const IoDevice::Sample all = files_.sample();
    if (watch_.stalls(all)) {
        look_ = true;
        wake_.notify_one();
    }
    if (all.activity.outstanding == 0) return Clock::time_point::max();
    watched_ = true;
    return now + watch_.pause();
}

void RemoteSegment::lookAtConnection(std::unique_lock<std::mutex>& lock) {
    look_ = false;
    if (!connection_) return;
    const bool ours = connection_->isOurs();
    const bool ask = ours && watch_.shouldAsk();
    // The question goes over the queues through some device of the connection.
    const auto device = ask ? files_.anyDescriptor() : nullptr;
    lock.unlock();
    const auto start = Clock::now();
    auto down = start;
    bool live = connection_->isLive();
    if (live && ask) {
        connection_->provokeAnswer(device);
        live = connection_->isLive();
        // The kernel lets go of who asks only when it has taken the connection down.
        down = std::min(Clock::now(), start + kAnswerLimit);
    }
    const bool reconnecting = !live && connection_->isReconnecting();
    lock.lock();
    const auto verdict = watch_.judge({live, reconnecting, down}, Clock::now(), stopping_);
    if (!ours) return;
    if (verdict == ConnectionWatch::Verdict::kGiveUp) giveUpConnection(lock, {});
    if (verdict == ConnectionWatch::Verdict::kGiveUpWhenFailed) giveUpConnection(lock, kFailing);
}

/// @param patience  for the kernel to end by itself what it has
void RemoteSegment::giveUpConnection(std::unique_lock<std::mutex>& lock,
                                     std::chrono::milliseconds patience) {
    const auto now = Clock::now();
    watch_.forget();
    suspect_ = true;
    const auto line = attemptLog_.admit(now);
    lock.unlock();
    if (line) {
        LOG(WARNING) << name_ << ": giving the connection to " << connection_->subsystemNqn()
                     << " up: it is down, and I/O waits for it" << leftOut(*line);
    }
    closeFiles();  // what has not reached the kernel waits for the next connection
    lock.lock();
    while (Clock::now() < now + patience && files_.activity().outstanding > 0) {
        wake_.wait_for(lock, kSeeOutPause);
    }
    lock.unlock();
    if (!connection_->isLive()) connection_->giveUp();
    lock.lock();
}

RemoteSegment::Clock::time_point RemoteSegment::endLate(Clock::time_point now) {
    Error late;
    {
        std::lock_guard lock(mutex_);
        const auto first = waiting_.firstDeadline();
        if (first > now) return first;
        late = {ETIMEDOUT, name_ + " gave no answer in time" +
                               (lastError_.code != 0 ? "; last: " + lastError_.message : "")};
    }
    endWaiting([now](const WaitingRequest& waiting) { return waiting.deadline <= now; }, late);
    std::lock_guard lock(mutex_);
    return waiting_.firstDeadline();
}

void RemoteSegment::attempt(std::unique_lock<std::mutex>& lock) {
    const auto [wanted, retries] = waiting_.due(Clock::now());
    const bool suspect = std::exchange(suspect_, false);
    bool fresh = suspect || lastError_.code != 0;
    lock.unlock();

    fresh = fresh || (connection_ && needsLook(wanted, Clock::now()));
    const Result<> result = bringUp(fresh, wanted);
    bool allThere = true;
    if (result.ok()) {
        // What failed because the connection was down would only fail again until it is up.
        const bool live = !retries || connection_->isLive();
        for (uint32_t fileId : wanted) allThere = openFile(fileId, live) && allThere;
    }

    lock.lock();
    if (!result.ok()) {
        noteFailure(lock, result.error());
        return;
    }
    lastError_ = {0, {}};
    pace_.succeeded();
    // A device that does not appear is that file's trouble alone, so it does not count as a failure
    // of the segment.
    if (!allThere) suspect_ = true;
    if (!allThere || suspect) pace_.hold(Clock::now() + (allThere ? kSuspectPause : kOpenPause));
}

void RemoteSegment::noteFailure(std::unique_lock<std::mutex>& lock, const Error& error) {
    const auto now = Clock::now();
    if (error.message != lastError_.message) {
        if (const auto line = attemptLog_.admit(now)) {
            LOG(WARNING) << error.message << leftOut(*line);
        }
    }
    lastError_ = error;
    ++failedAttempts_;
    pace_.failed(now);
    if (isHopeless(error.code)) {
        lock.unlock();
        endWaiting([](const WaitingRequest&) { return true; }, error, Last::kYes);
        lock.lock();
    } else if (pace_.failingFor(context_.patience, now)) {
        // Down for long: each new request costs one attempt and not all its patience.
        lock.unlock();
        endWaiting([now](const WaitingRequest& waiting) { return waiting.notBefore <= now; },
                   error);
        lock.lock();
    }
}

// An unknown number may be that of a file which has come since. A file that has gone may be back,
// but programs that go on asking for it must not keep the metadata service busy.
bool RemoteSegment::needsLook(const std::set<uint32_t>& wanted, Clock::time_point now) const {
    return std::any_of(wanted.begin(), wanted.end(), [&](uint32_t fileId) {
        const auto file = pins_.find(fileId);
        return !file.ok() && (file.error().code == ENOENT || now >= looked_ + kSuspectPause);
    });
}

// Whatever the engine has shown a program is pinned: what is older in its cache, too.
Result<RemoteDescriptor> RemoteSegment::describe(bool fresh) {
    auto described = context_.describe(fresh);
    if (described.ok()) pins_.see(described.value());
    if (fresh) looked_ = Clock::now();
    return described;
}

Result<> RemoteSegment::bringUp(bool fresh, const std::set<uint32_t>& wanted) {
    // What the service said last is never replaced by what the engine's cache may hold from before.
    if (!fresh && !descriptor_.subsystemNqn.empty()) return useConnection();
    Result<RemoteDescriptor> described = describe(fresh);
    if (!fresh && !(described.ok() && areThere(pins_, wanted))) {
        // The engine cached it when the segment was opened; files may have come since.
        Result<RemoteDescriptor> newer = describe(true);
        if (newer.ok() || !described.ok()) described = std::move(newer);
    }
    if (described.ok()) {
        {
            std::lock_guard lock(mutex_);
            descriptor_ = described.take();
            // The counters' name of it does not change any more.
            if (publishedName_.empty()) publishedName_ = descriptor_.segment;
        }
        // I/O on a file that was withdrawn may have failed otherwise than by its namespace's end;
        // and one that has moved is elsewhere now.
        closeFilesExcept([this](uint32_t fileId, uint32_t nsid) {
            const auto file = pins_.find(fileId);
            return file.ok() && file.value().nsid == nsid;
        });
    } else if (!connection_) {
        return described.error();
    } else {
        // Without the metadata service, what is connected goes on.
        LOG_EVERY_T(WARNING, 10) << described.error().message;
    }
    return useConnection();
}

Result<> RemoteSegment::useConnection() {
    // The initiator hands the same connection out as long as it lives.
    auto connected = context_.initiator->connect(descriptor_.address, descriptor_.subsystemNqn);
    if (!connected.ok())
        return Error{connected.error().code, name_ + ": " + connected.error().message};
    if (connected.value() != connection_) {
        closeFiles();
        connection_ = connected.take();
        std::optional<uint64_t> line;
        {
            std::lock_guard lock(mutex_);
            connected_ = true;
            ++connects_;
            line = attemptLog_.admit(Clock::now());
        }
        if (line) {
            LOG(INFO) << name_ << ": connected to " << descriptor_.subsystemNqn << " at "
                      << toString(descriptor_.address) << leftOut(*line);
        }
    }
    return {};
}

bool RemoteSegment::openFile(uint32_t fileId, bool live) {
    const auto isOfFile = [fileId](const WaitingRequest& waiting) {
        return waiting.fileId == fileId;
    };
    const auto published = pins_.find(fileId);
    if (!published.ok()) {
        const Error& error = published.error();
        endWaiting(isOfFile, Error{error.code, name_ + " " + error.message});
        return true;
    }
    const RemoteFile& remote = published.value();
    const std::string file = name_ + " file " + std::to_string(fileId);
    std::shared_ptr<FileCounters> counters;
    bool isOpen = false;
    {
        std::lock_guard lock(mutex_);
        isOpen = files_.device(fileId) != nullptr;
        counters = counters_.add(fileId, [this](uint32_t id) { return pins_.isThere(id); });
    }
    if (!isOpen) {
        auto opened = context_.initiator->openNamespace(*connection_, remote.nsid, remote.size,
                                                        context_.pool->openFlags(),
                                                        Clock::now() + kOpenSlice);
        if (!opened.ok()) {
            if (opened.error().code == ENXIO) return false;
            endWaiting(isOfFile, Error{opened.error().code, file + ": " + opened.error().message});
            return true;
        }
        RemoteNamespace device = opened.take();
        auto listener = std::make_shared<FileListener>(*this, fileId, std::move(counters));
        auto added =
            context_.pool->addDevice({std::move(device.fd), file + " (" + device.deviceName + ")",
                                      remote.size, device.blockSize, listener});
        if (!added.ok()) {
            endWaiting(isOfFile, Error{added.error().code, file + ": " + added.error().message});
            return true;
        }
        std::lock_guard lock(mutex_);
        files_.add(fileId, remote.nsid, listener, added.take());
    }
    sendWaiting(fileId, live);
    return true;
}

void RemoteSegment::sendWaiting(uint32_t fileId, bool live) {
    std::shared_ptr<IoDevice> device;
    std::vector<WaitingRequest> ready;
    {
        std::lock_guard lock(mutex_);
        device = files_.device(fileId);
        if (!device) return;  // it failed again meanwhile
        const auto now = Clock::now();
        if (!live) waiting_.postponeRetries(fileId, now, now + kRetryPause);
        ready = waiting_.take([fileId, now](const WaitingRequest& waiting) {
            return waiting.fileId == fileId && waiting.notBefore <= now;
        });
    }
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < ready.size(); ++i) {
        requests.push_back(ready[i].request);
        const bool last = i + 1 == ready.size() || ready[i + 1].retries != ready[i].retries;
        if (!last) continue;
        send(device, requests.data(), requests.size(), ready[i].retries);
        requests.clear();
    }
}

void RemoteSegment::closeFiles() {
    closeFilesExcept([](uint32_t, uint32_t) { return false; });
}

void RemoteSegment::closeFilesExcept(const OpenFiles::Predicate& kept) {
    OpenFiles::Devices closing;
    {
        std::lock_guard lock(mutex_);
        closing = files_.takeOutAllBut(kept);
    }
    for (const auto& device : closing) context_.pool->closeDevice(device);
}

void RemoteSegment::endWaiting(const WaitingRequests::Predicate& which, const Error& error,
                               Last last) {
    struct Ending {
        void* context;
        std::shared_ptr<FileCounters> counters;
    };
    std::vector<Ending> ending;
    std::optional<uint64_t> line;
    {
        std::lock_guard lock(mutex_);
        const auto now = Clock::now();
        for (WaitingRequest& waiting : waiting_.take(which)) {
            const auto& counters = counters_.of(waiting.fileId);
            if (last == Last::kNo && waiting.retries > 0 && canPass(error.code)) {
                --waiting.retries;
                waiting.notBefore = now + kRetryPause;
                counters->noteRetry();
                waiting_.add(waiting, now);
            } else {
                ending.push_back({waiting.request.context, counters});
            }
        }
        if (!ending.empty()) line = endLog_.admit(now);
    }
    if (line) {
        LOG(ERROR) << ending.size() << " request(s) failed: " << error.message << leftOut(*line);
    }
    for (const Ending& one : ending) context_.ended(one.context, error.code, 0, *one.counters);
}

SegmentStats RemoteSegment::stats() const {
    SegmentStats stats;
    std::lock_guard lock(mutex_);
    using State = SegmentStats::State;
    stats.state = lastError_.code != 0 ? State::kGone
                  : suspect_           ? State::kDegraded
                  : connected_         ? State::kReady
                  : waiting_.empty()   ? State::kIdle
                                       : State::kConnecting;
    stats.name = publishedName_;
    stats.connects = connects_;
    stats.failedAttempts = failedAttempts_;
    stats.waiting = waiting_.size();
    stats.files = counters_.read();
    return stats;
}

}  // namespace mooncake::nvmeof_generic
