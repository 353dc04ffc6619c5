// SPDX-License-Identifier: Apache-2.0
#include "remote_segments.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <thread>
#include <utility>

#include "repeated_request.h"
#include "retry_rules.h"
#include "submit_window.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// Until the next try to free what readers may still have seen.
constexpr std::chrono::milliseconds kCollectPause{100};

constexpr std::chrono::milliseconds kWithdrawPause{2};

SegmentContext complete(SegmentContext context) {
    if (!context.startThread) {
        context.startThread = [](std::function<void()> body) {
            return startThread("nvmeof-segment", std::move(body));
        };
    }
    return context;
}

}  // namespace

RemoteSegments::RemoteSegments(SegmentContext context)
    : context_(complete(std::move(context))),
      namespaces_(*context_.pool, retired_),
      table_(std::make_unique<const Table>(0)) {}

RemoteSegments::~RemoteSegments() {
    stop();
}

RemoteSegment* RemoteSegments::find(uint64_t segment) const noexcept {
    RemoteSegment* const* const found = table_.read()->find(segment);
    return found == nullptr ? nullptr : *found;
}

void RemoteSegments::prepare(uint64_t segment) {
    {
        const ReadSection reading;
        if (find(segment) != nullptr) return;
    }
    const MutexLock lock(mutex_);
    if (stopping_ || segments_.contains(segment)) return;
    auto made = std::make_unique<RemoteSegment>(segment, context_, namespaces_, retired_, *this);
    const auto entry = segments_.emplace(segment, std::move(made)).first;
    try {
        publish();
    } catch (const std::bad_alloc&) {
        segments_.erase(entry);
        throw;
    }
    added_ = true;
}

void RemoteSegments::publish() {
    auto table = std::make_unique<Table>(segments_.size());
    for (const auto& [id, segment] : segments_) table->add(id, segment.get());
    retired_.add(table_.replace(std::move(table)));
}

void RemoteSegments::submit(const Request* requests, size_t count) noexcept {
    const ReadSection reading;
    SubmitWindow window(*context_.pool);
    RemoteSegment* segment = nullptr;
    const FileRoute* route = nullptr;
    const SharedNamespace::Opening* opening = nullptr;
    for (const Request* one = requests; one != requests + count; ++one) {
        // Neighbours mostly name the same file.
        if (one == requests || one->segment != one[-1].segment || one->file != one[-1].file) {
            if (one == requests || one->segment != one[-1].segment) segment = find(one->segment);
            route = segment ? segment->route(one->file) : nullptr;
            opening = route ? route->ns->opening() : nullptr;
        }
        if (segment == nullptr) {
            context_.owner->onEnded(one->io.context, ECANCELED, 0, lost_);
        } else if (opening == nullptr) {
            segment->wait(one->file, one->io, std::max(one->retries, 0));
        } else if (const int refusal =
                       route->refusal(one->io, *opening, context_.refuseUnalignedWrites)) {
            context_.owner->onEnded(one->io.context, refusal, 0, *route->counters);
        } else {
            window.add(*opening, one->io, one->retries);
        }
    }
    window.submit();
    // Not before: who looks in between finds nothing, and looks no more.
    for (const Request* one = requests; one != requests + count; ++one) {
        if (one != requests && one->segment == one[-1].segment) continue;
        if (segment = find(one->segment); segment != nullptr) segment->noteSubmitted();
    }
}

void RemoteSegments::end(RemoteSegment* segment, uint32_t fileId, void* context, int error,
                         uint64_t bytes) noexcept {
    const FileRoute* const route = segment ? segment->route(fileId) : nullptr;
    if (route != nullptr) {
        context_.owner->onEnded(context, error, bytes, *route->counters);
    } else if (segment != nullptr) {
        context_.owner->onEnded(context, error, bytes, *segment->counters(fileId));
    } else {
        context_.owner->onEnded(context, error, bytes, lost_);
    }
}

void RemoteSegments::onIoDone(SharedNamespace& from, void* context, int error,
                              uint64_t bytes) noexcept {
    const auto repeated = RepeatedRequest::unwrap(context);
    if (repeated) context = repeated->request.context;
    const RequestOwner::Place place = context_.owner->placeOf(context);
    const ReadSection reading;
    RemoteSegment* const segment = find(place.segment);
    // The note comes first: whoever sees the failed request finds the segment mending already.
    if (segment != nullptr && error != 0 && error != EINVAL && error != ECANCELED) {
        segment->onIoError(from, place.file, error);
    }
    // A namespace that is gone can be back when its file is registered again.
    if (repeated && segment != nullptr && repeated->left > 0 &&
        repeated->request.op == IoOp::kRead && (canPass(error) || canMeanGone(error)) &&
        segment->repeat(place.file, repeated->request, repeated->left - 1)) {
        return;
    }
    end(segment, place.file, context, error, bytes);
}

void RemoteSegments::onIoReturned(const IoRequest& returned) noexcept {
    IoRequest request = returned;
    int retries = 0;
    Clock::time_point since;
    if (const auto repeated = RepeatedRequest::unwrap(returned.context)) {
        request = repeated->request;
        retries = repeated->left;
        since = repeated->since;
    } else {
        since = context_.owner->submittedAt(request.context);
    }
    const RequestOwner::Place place = context_.owner->placeOf(request.context);
    const ReadSection reading;
    RemoteSegment* const segment = find(place.segment);
    const int error = segment ? segment->takeBack(place.file, request, retries, since) : ECANCELED;
    if (error != 0) end(segment, place.file, request.context, error, 0);
}

RemoteSegments::Clock::time_point RemoteSegments::keepHouse(Clock::time_point now) {
    letGoOfUnknown();
    auto next = Clock::time_point::max();
    {
        const ReadSection reading;
        table_.read()->forEach([&](uint64_t, RemoteSegment* segment) {
            next = std::min(next, segment->keepHouse(now));
        });
    }
    reap();
    if (!retired_.collect()) next = std::min(next, now + kCollectPause);
    return next;
}

// A node that restarts under another name is another segment, and the engine forgets the old one:
// looked for whenever one comes, so that there are never many.
void RemoteSegments::letGoOfUnknown() {
    const MutexLock lock(mutex_);
    if (!std::exchange(added_, false)) return;
    for (const auto& [id, segment] : segments_) {
        if (!context_.isKnown(id)) segment->beginStop();
    }
}

// Takes those out that have ended.
void RemoteSegments::reap() {
    Segments gone;
    {
        const MutexLock lock(mutex_);
        if (stopping_) return;
        for (auto at = segments_.begin(); at != segments_.end();) {
            const auto one = at++;
            if (one->second->ended()) gone.insert(segments_.extract(one));
        }
        if (gone.empty()) return;
        try {
            publish();
        } catch (const std::bad_alloc&) {
            segments_.merge(gone);  // until there is memory
            return;
        }
    }
    for (auto& [id, segment] : gone) {
        segment->stop();
        retired_.add(std::move(segment));
    }
}

bool RemoteSegments::withdraw(const std::string& subsystemNqn, uint32_t nsid,
                              std::chrono::milliseconds limit) {
    const auto ns = namespaces_.get({subsystemNqn, nsid});
    ns->withdraw();
    const auto end = Clock::now() + limit;
    while (ns->activity().outstanding != 0) {
        if (Clock::now() >= end) return false;
        std::this_thread::sleep_for(kWithdrawPause);
    }
    return true;
}

void RemoteSegments::beginStop() {
    const MutexLock lock(mutex_);
    stopping_ = true;
    for (const auto& [id, segment] : segments_) segment->beginStop();
}

void RemoteSegments::stop() {
    beginStop();
    // None is added or taken out any more.
    std::vector<RemoteSegment*> all;
    {
        const MutexLock lock(mutex_);
        for (const auto& [id, segment] : segments_) all.push_back(segment.get());
    }
    for (RemoteSegment* segment : all) segment->stop();
}

bool RemoteSegments::empty() const {
    const MutexLock lock(mutex_);
    return segments_.empty();
}

std::vector<SegmentStats> RemoteSegments::stats() const {
    std::vector<SegmentStats> all;
    std::vector<std::shared_ptr<const PathBoard>> boards;
    {
        const MutexLock lock(mutex_);
        for (const auto& [id, segment] : segments_) {
            all.push_back(segment->stats());
            boards.push_back(segment->paths());
        }
    }
    // Not under the lock: the kernel may take its time.
    for (size_t i = 0; i < all.size(); ++i) {
        if (boards[i]) all[i].paths = boards[i]->read();
    }
    return all;
}

std::vector<PathStats> RemoteSegments::paths(uint64_t segment) const {
    std::shared_ptr<const PathBoard> board;
    {
        const MutexLock lock(mutex_);
        const auto found = segments_.find(segment);
        if (found != segments_.end()) board = found->second->paths();
    }
    return board ? board->read() : std::vector<PathStats>{};
}

}  // namespace mooncake::nvmeof_generic
