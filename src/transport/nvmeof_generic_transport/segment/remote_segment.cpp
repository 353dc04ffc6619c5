// SPDX-License-Identifier: Apache-2.0
// What others ask of a segment; its own thread is in segment_thread.cpp.
#include "remote_segment.h"

#include <glog/logging.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "end_waiting.h"
#include "retry_rules.h"

namespace mooncake::nvmeof_generic {

RemoteSegment::RemoteSegment(uint64_t id, const SegmentContext& context, NamespaceTable& namespaces,
                             Retired& retired, NamespaceClient& client)
    : id_(id),
      name_("segment " + std::to_string(id)),
      context_(context),
      namespaces_(namespaces),
      retired_(retired),
      client_(client),
      routes_(std::make_unique<const FileRoutes>(0)),
      waiting_(context.patience),
      watch_(context.downLimit, context.ioLimit) {}

RemoteSegment::~RemoteSegment() = default;

void RemoteSegment::moveTo(SegmentState next) {
    assert(mayFollow(state_, next));
    state_ = next;
}

// @return false: there is no memory for it
bool RemoteSegment::addWaiting(WaitingRequest waiting, Clock::time_point since) noexcept {
    const bool first = waiting_.empty() || since + context_.patience < waiting_.firstDeadline();
    try {
        waiting_.add(waiting, since);
    } catch (const std::bad_alloc&) {
        return false;
    }
    if (state_ == SegmentState::kIdle) moveTo(SegmentState::kConnecting);
    if (first) context_.callAt(since + context_.patience);
    wakeThread();
    return true;
}

// Nobody starts a thread here: that may take long, or fail.
void RemoteSegment::wakeThread() noexcept {
    if (hasThread_) return wake_.notifyOne();
    if (std::exchange(wantsThread_, true)) return;
    context_.callAt(Clock::time_point{});
}

void RemoteSegment::wait(uint32_t fileId, const IoRequest& request, int retries) noexcept {
    int refusal = 0;
    {
        const MutexLock lock(mutex_);
        const auto now = Clock::now();
        if (state_ == SegmentState::kStopping) {
            refusal = ECANCELED;
        } else if (retries == 0 && pace_.failingFor(context_.patience, now) &&
                   now < pace_.notBefore()) {
            refusal = lastError_.code;
        } else if (!addWaiting({fileId, request, retries}, now)) {
            refusal = ENOMEM;
        }
    }
    if (refusal != 0) context_.owner->onEnded(request.context, refusal, 0, *counters(fileId));
}

void RemoteSegment::noteSubmitted() noexcept {
    if (watched_.load(std::memory_order_relaxed)) return;
    if (watched_.exchange(true)) return;
    const auto when = Clock::now() + ConnectionWatch::pauseOf(context_.downLimit);
    countAt_ = when;
    context_.callAt(when);
}

void RemoteSegment::onIoError(SharedNamespace& from, uint32_t fileId, int error) noexcept {
    std::optional<uint64_t> line;
    const bool look = canMeanGone(error) && from.suspect();
    {
        const MutexLock lock(mutex_);
        if (state_ == SegmentState::kStopping || state_ == SegmentState::kIdle) return;
        refresh_ = true;
        suspects_ = suspects_ || look;
        if (state_ == SegmentState::kReady) moveTo(SegmentState::kDegraded);
        line = ioLog_.admit(Clock::now());
        wakeThread();
    }
    if (!line) return;
    try {
        LOG(WARNING) << name_ << ": I/O on file " << fileId << " failed: " << strerrordesc_np(error)
                     << leftOut(*line);
    } catch (const std::bad_alloc&) {
        // Then without the line.
    }
}

bool RemoteSegment::repeat(uint32_t fileId, const IoRequest& request, int retries) noexcept {
    const MutexLock lock(mutex_);
    if (state_ == SegmentState::kStopping) return false;
    const auto now = Clock::now();
    if (!addWaiting({fileId, request, retries, now + kRetryPause}, now)) return false;
    counters_.of(fileId)->noteRetry();
    return true;
}

int RemoteSegment::takeBack(uint32_t fileId, const IoRequest& request, int retries,
                            Clock::time_point since) noexcept {
    const MutexLock lock(mutex_);
    if (state_ == SegmentState::kStopping) return ECANCELED;
    return addWaiting({fileId, request, retries}, since) ? 0 : ENOMEM;
}

std::shared_ptr<FileCounters> RemoteSegment::counters(uint32_t fileId) const noexcept {
    const MutexLock lock(mutex_);
    return counters_.of(fileId);
}

RemoteSegment::Clock::time_point RemoteSegment::keepHouse(Clock::time_point now) {
    startThreadIfWanted();
    return std::min(endLate(now), watch(now));
}

void RemoteSegment::startThreadIfWanted() {
    {
        // Whoever calls must not wait for stop(), which waits for its further calls.
        const MutexLock lock(mutex_);
        if (!wantsThread_ || state_ == SegmentState::kStopping) return;
    }
    Error failure{0, {}};
    {
        // Whoever stops the segment waits until the thread is there to be waited for.
        const MutexLock starting(threadMutex_);
        {
            const MutexLock lock(mutex_);
            if (!std::exchange(wantsThread_, false) || state_ == SegmentState::kStopping) return;
            hasThread_ = true;
        }
        // The one before is at its very end.
        if (thread_.joinable()) thread_.join();
        auto started = context_.startThread([this] { run(); });
        if (started.ok()) {
            thread_ = started.take();
            return;
        }
        failure = started.error();
        const MutexLock lock(mutex_);
        hasThread_ = false;
    }
    endAllWaiting(Error{failure.code, name_ + ": " + failure.message});
}

void RemoteSegment::beginStop() {
    const MutexLock lock(mutex_);
    moveTo(SegmentState::kStopping);
    wake_.notifyOne();
}

bool RemoteSegment::ended() const {
    const MutexLock lock(mutex_);
    return state_ == SegmentState::kStopping && !hasThread_;
}

void RemoteSegment::stop() {
    beginStop();
    {
        const MutexLock starting(threadMutex_);
        if (thread_.joinable()) thread_.join();
    }
    endAllWaiting(Error{ECANCELED, "the transport is being shut down"});
}

RemoteSegment::Clock::time_point RemoteSegment::watch(Clock::time_point now) {
    // Called for another reason, perhaps another segment's: ages are counted in pauses.
    if (const auto due = countAt_.load(); now < due) return due;
    // Who submits from now on asks for another look. What was submitted before counts here.
    if (!watched_.exchange(false)) return Clock::time_point::max();
    const MutexLock lock(mutex_);
    IoDevice::Sample all;
    for (const auto& ns : namespacesInUse_) {
        const IoDevice::Sample one = ns->sample(now);
        all.activity.outstanding += one.activity.outstanding;
        all.activity.ended += one.activity.ended;
        // What a connection of before has left says nothing of this one.
        if (current_ != nullptr && ns->isOf(*current_)) {
            all.oldest = std::max(all.oldest, one.oldest);
        }
    }
    if (watch_.stalls(all)) {
        look_ = true;
        wake_.notifyOne();
    }
    if (all.activity.outstanding == 0) return Clock::time_point::max();
    watched_ = true;
    countAt_ = now + watch_.pause();
    return now + watch_.pause();
}

RemoteSegment::Clock::time_point RemoteSegment::endLate(Clock::time_point now) {
    Error late;
    {
        const MutexLock lock(mutex_);
        const auto first = waiting_.firstDeadline();
        if (first > now) return first;
        late = {ETIMEDOUT, name_ + " gave no answer in time; " +
                               (lastError_.code != 0 ? "last: " + lastError_.message
                                                     : "waiting for " + waitsFor_)};
    }
    const auto take = [&] {
        mutex_.assertHeld();
        return waiting_.takeLate(now);
    };
    endWaiting(take, late);
    const MutexLock lock(mutex_);
    return waiting_.firstDeadline();
}

void RemoteSegment::endAllWaiting(const Error& error) {
    const auto take = [&] {
        mutex_.assertHeld();
        return waiting_.takeAll();
    };
    endWaiting(take, error, Last::kYes);
}

bool RemoteSegment::waitAnew(WaitingRequest waiting, const Error& error, Last last,
                             Clock::time_point now) {
    if (last == Last::kYes || waiting.retries <= 0 || !canPass(error.code)) return false;
    --waiting.retries;
    waiting.notBefore = now + kRetryPause;
    if (!addWaiting(waiting, now)) return false;
    counters_.of(waiting.fileId)->noteRetry();
    return true;
}

SegmentStats RemoteSegment::stats() const {
    SegmentStats stats;
    const MutexLock lock(mutex_);
    stats.segmentId = id_;
    stats.state = shown(state_);
    stats.name = publishedName_;
    stats.connects = connects_;
    stats.failedAttempts = failedAttempts_;
    stats.waiting = waiting_.size();
    stats.files = counters_.read();
    return stats;
}

std::shared_ptr<const PathBoard> RemoteSegment::paths() const {
    const MutexLock lock(mutex_);
    return paths_;
}

}  // namespace mooncake::nvmeof_generic
