// SPDX-License-Identifier: Apache-2.0
// What a segment's own thread does.
#include <glog/logging.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include "copied_writes.h"
#include "end_waiting.h"
#include "remote_segment.h"
#include "submit_window.h"

namespace mooncake::nvmeof_generic {
namespace {

// How long one file may keep the segment's thread waiting for its device, while others wait for
// theirs.
constexpr std::chrono::milliseconds kOpenSlice{200};

// Until the next look for a device that was not there.
constexpr std::chrono::milliseconds kOpenPause{100};

// Between two looks at the metadata and the connection that failing I/O asks for.
constexpr std::chrono::milliseconds kSuspectPause{500};

// By when the kernel has taken a connection for lost over which the target does not answer when it
// is asked: its limit for that command, and up to a second until it looks.
constexpr std::chrono::milliseconds kAnswerLimit{1500};

// For I/O to end that is not what has no end, before a connection is given up that is up.
constexpr std::chrono::milliseconds kOthersEnd{500};

// For the kernel to fail by itself what it has, once its time for that is as good as over.
constexpr std::chrono::milliseconds kFailing{1500};

// Between two looks whether I/O has ended, while something waits for that, and while nothing does.
constexpr std::chrono::milliseconds kSeeOutPause{20};
constexpr std::chrono::milliseconds kTidyPause{100};

bool areThere(const FilePins& pins, const std::set<uint32_t>& files) {
    return std::all_of(files.begin(), files.end(), [&](uint32_t id) { return pins.isThere(id); });
}

// Neither a descriptor that makes no sense nor a missing permission will be different in a second.
bool isHopeless(int error) {
    return error == EINVAL || error == EACCES;
}

}  // namespace

void RemoteSegment::run() {
    restAt_ = Clock::now() + context_.rest;
    while (true) {
        try {
            switch (nextWork()) {
                case Work::kLookAtConnection:
                    lookAtConnection();
                    break;
                case Work::kLookAtNamespaces:
                    lookAtNamespaces();
                    break;
                case Work::kAttempt:
                    attempt();
                    break;
                case Work::kTidyUp:
                    tidyUp();
                    break;
                case Work::kRest:
                    if (rest()) return;
                    break;
                case Work::kStop:
                    return finish();
            }
        } catch (const std::bad_alloc&) {
            // What waits has its deadline, and may find memory before.
            const MutexLock lock(mutex_);
            pace_.hold(Clock::now() + kSuspectPause);
        }
    }
}

RemoteSegment::Work RemoteSegment::nextWork() {
    const MutexLock lock(mutex_);
    while (true) {
        if (state_ == SegmentState::kStopping) return Work::kStop;
        if (std::exchange(look_, false)) return Work::kLookAtConnection;
        if (std::exchange(suspects_, false)) return Work::kLookAtNamespaces;
        const auto now = Clock::now();
        const auto when = attemptTime();
        if (when <= now) return Work::kAttempt;
        if (now >= restAt_) {
            restAt_ = now + context_.rest;
            return Work::kRest;
        }
        auto until = std::min(when, restAt_);
        if (closing_) until = std::min(until, now + kTidyPause);
        if (!wake_.waitUntil(mutex_, until) && closing_) return Work::kTidyUp;
    }
}

RemoteSegment::Clock::time_point RemoteSegment::attemptTime() const {
    if (waiting_.empty()) return refresh_ ? pace_.notBefore() : Clock::time_point::max();
    return std::max(waiting_.firstDue(), pace_.notBefore());
}

IoDevice::Activity RemoteSegment::activity() const {
    const MutexLock lock(mutex_);
    IoDevice::Activity all{0, 0};
    for (const auto& ns : namespacesInUse_) {
        const IoDevice::Activity one = ns->activity();
        all.outstanding += one.outstanding;
        all.ended += one.ended;
    }
    return all;
}

void RemoteSegment::lookAtConnection() {
    if (!connection_) return;
    const bool ours = connection_->isOurs();
    bool ask = false;
    {
        const MutexLock lock(mutex_);
        ask = ours && watch_.shouldAsk();
    }
    const auto start = Clock::now();
    auto down = start;
    bool live = connection_->isLive();
    if (live && ask) {
        // The question goes over the queues through some device of the connection.
        std::shared_ptr<const UniqueFd> device;
        for (const auto& [id, file] : files_) {
            if (!device) device = file.ns->descriptor();
        }
        const bool answered = connection_->provokeAnswer(device);
        live = connection_->isLive();
        const MutexLock lock(mutex_);
        watch_.noteAnswer(answered && live, Clock::now());
        // The kernel lets go of who asks only when it has taken the connection down.
        down = std::min(Clock::now(), start + kAnswerLimit);
    }
    const bool reconnecting = !live && connection_->isReconnecting();
    auto verdict = ConnectionWatch::Verdict::kWait;
    {
        const MutexLock lock(mutex_);
        verdict = watch_.judge({live, reconnecting, down}, Clock::now(),
                               state_ == SegmentState::kStopping);
    }
    if (!ours) return;
    if (verdict == ConnectionWatch::Verdict::kGiveUp) giveUpConnection({});
    if (verdict == ConnectionWatch::Verdict::kGiveUpWhenFailed) giveUpConnection(kFailing);
    if (verdict == ConnectionWatch::Verdict::kGiveUpHung) {
        giveUpLive("it answers, but its disk hangs: I/O has not ended for " +
                   std::to_string(context_.ioLimit / std::chrono::seconds(1)) +
                   " s (MC_NVMEOF_GENERIC_IO_TIMEOUT)");
    }
    if (verdict == ConnectionWatch::Verdict::kGiveUpInVain) {
        giveUpLive(
            "the target answers, but large packets do not arrive: check the MTU of the path");
    }
}

// What has not reached the kernel waits for the next connection, whoever sent it.
// @return whether to say so, see LogPace
std::optional<uint64_t> RemoteSegment::beginGivingUp() {
    for (const auto& ns : namespaces_.all()) ns->closeIfOf(*connection_);
    const MutexLock lock(mutex_);
    closing_ = true;
    watch_.beginAnew();
    refresh_ = true;
    return attemptLog_.admit(Clock::now());
}

// Gives the kernel time to end what it has.
void RemoteSegment::waitForKernel(std::chrono::milliseconds patience) {
    const auto until = Clock::now() + patience;
    while (Clock::now() < until && activity().outstanding > 0) {
        const MutexLock lock(mutex_);
        wake_.waitUntil(mutex_, Clock::now() + kSeeOutPause);
    }
}

/// @param patience  for the kernel to end by itself what it has
void RemoteSegment::giveUpConnection(std::chrono::milliseconds patience) {
    bool again = false;
    {
        const MutexLock lock(mutex_);
        again = watch_.losesAnswers();
    }
    if (const auto line = beginGivingUp()) {
        LOG(WARNING) << name_ << ": giving the connection to " << connection_->subsystemNqn()
                     << " up: it is down, and I/O waits for it"
                     << (again ? ", and that is how the one before ended: check the MTU of the path"
                               : "")
                     << leftOut(*line);
    }
    waitForKernel(patience);
    if (!connection_->isLive()) connection_->giveUp();
}

/// Only what has no end fails: all else has ended, or goes over the next connection.
void RemoteSegment::giveUpLive(const std::string& why) {
    const auto line = beginGivingUp();
    waitForKernel(kOthersEnd);
    if (line) {
        std::string files;
        for (const auto& [id, file] : files_) {
            if (file.ns->activity().outstanding == 0) continue;
            files += (files.empty() ? "" : ", ") + std::to_string(id);
        }
        LOG(ERROR) << name_ << ": giving the connection to " << connection_->subsystemNqn()
                   << " up, with I/O on file " << files << ": " << why << leftOut(*line);
    }
    connection_->giveUp();
}

// Soon, whatever else is to be done: requests wait for the result.
void RemoteSegment::lookAtNamespaces() {
    for (const auto& [id, file] : files_) {
        if (file.ns->state() == NamespaceState::kSuspect) file.ns->lookAgain(*context_.initiator);
    }
    std::set<uint32_t> waiting;
    {
        const MutexLock lock(mutex_);
        closing_ = true;
        waiting = waiting_.due(Clock::now()).files;
    }
    const bool live = connection_ && connection_->isLive();
    for (const uint32_t fileId : waiting) sendWaiting(fileId, live);
}

// Lets go of what the kernel has given back.
void RemoteSegment::tidyUp() {
    std::vector<std::shared_ptr<SharedNamespace>> all;
    {
        const MutexLock lock(mutex_);
        all = namespacesInUse_;
    }
    bool closing = false;
    for (const auto& ns : all) closing = !ns->finishClosing() || closing;
    const MutexLock lock(mutex_);
    closing_ = closing;
    // One that was detached and is open is another segment's, which knows it by another name.
    std::erase_if(namespacesInUse_, [this](const auto& ns) {
        return ns->state() != NamespaceState::kClosing &&
               std::none_of(files_.begin(), files_.end(),
                            [&](const auto& file) { return file.second.ns == ns; });
    });
}

void RemoteSegment::attempt() {
    WaitingRequests::Due due;
    bool refresh = false;
    bool fresh = false;
    {
        const MutexLock lock(mutex_);
        due = waiting_.due(Clock::now());
        refresh = std::exchange(refresh_, false);
        fresh = refresh || rested_ || lastError_.code != 0;
    }
    // What failed because the connection was down would only fail again until it is up.
    bool live = !due.retries || (connection_ && connection_->isLive());
    // A file that is open needs nobody.
    std::erase_if(due.files, [&](uint32_t fileId) { return sendWaiting(fileId, live); });
    if (due.files.empty() && !fresh) return;

    fresh = fresh || (connection_ && needsLook(due.files, Clock::now()));
    const Result<> result = bringUp(fresh, due.files);
    bool missing = false;
    bool busy = false;
    if (result.ok()) {
        live = !due.retries || connection_->isLive();
        for (const uint32_t fileId : due.files) {
            const Opened opened = openFile(fileId, live);
            missing = missing || opened == Opened::kNotThere;
            busy = busy || opened == Opened::kBusy;
        }
    }
    if (!result.ok()) return noteFailure(result.error());
    rested_ = false;

    const MutexLock lock(mutex_);
    lastError_ = {0, {}};
    pace_.succeeded();
    if (state_ == SegmentState::kStopping) return;
    moveTo(SegmentState::kReady);
    // A device that does not appear is that file's trouble alone, so it does not count as a failure
    // of the segment.
    if (missing || refresh_) moveTo(SegmentState::kDegraded);
    if (missing) refresh_ = true;
    const auto now = Clock::now();
    if (busy) pace_.hold(now + kSeeOutPause);
    if (missing || refresh) pace_.hold(now + (missing ? kOpenPause : kSuspectPause));
}

void RemoteSegment::noteFailure(const Error& error) {
    const auto now = Clock::now();
    bool forLong = false;
    std::optional<uint64_t> line;
    {
        const MutexLock lock(mutex_);
        if (error.message != lastError_.message) line = attemptLog_.admit(now);
        lastError_ = error;
        ++failedAttempts_;
        pace_.failed(now);
        forLong = pace_.failingFor(context_.patience, now);
        if (state_ != SegmentState::kStopping) moveTo(SegmentState::kGone);
    }
    if (line) LOG(WARNING) << error.message << leftOut(*line);
    if (isHopeless(error.code)) {
        endAllWaiting(error);
    } else if (forLong) {
        // Down for long: each new request costs one attempt and not all its patience.
        const auto take = [&] {
            mutex_.assertHeld();
            return waiting_.takeDue(now);
        };
        endWaiting(take, error);
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
    if (fresh) noteWait("the metadata service");
    auto described = context_.describe(id_, fresh);
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
        descriptor_ = described.take();
        {
            const MutexLock lock(mutex_);
            // The counters' name of it does not change any more.
            if (publishedName_.empty()) publishedName_ = descriptor_.segment;
        }
        // I/O on a file that was withdrawn may have failed otherwise than by its namespace's end;
        // and one that has moved is elsewhere now. What belongs to an incarnation of before stays
        // until the new one is connected.
        detachFilesExcept([this](uint32_t fileId, const FileRoute& file) {
            const SharedNamespace::Key& key = file.ns->key();
            if (key.nqn != descriptor_.subsystemNqn) return true;
            const auto now = pins_.find(fileId);
            return now.ok() && now.value().nsid == key.nsid;
        });
    } else if (descriptor_.subsystemNqn.empty()) {
        return described.error();
    } else {
        // Without the metadata service it goes on by what it knows.
        LOG_EVERY_T(WARNING, 10) << described.error().message;
    }
    return useConnection();
}

Result<> RemoteSegment::useConnection() {
    noteWait("the connection to " + descriptor_.subsystemNqn + " at " +
             toString(descriptor_.addresses));
    // The initiator hands the same connection out as long as it lives.
    auto connected = context_.initiator->connect(descriptor_.addresses, descriptor_.subsystemNqn);
    if (!connected.ok())
        return Error{connected.error().code, name_ + ": " + connected.error().message};
    if (connected.value() == connection_) return {};
    detachFilesExcept([this](uint32_t, const FileRoute& file) {
        return file.ns->key().nqn == descriptor_.subsystemNqn;
    });
    for (const auto& [id, file] : files_) file.ns->closeUnlessOf(*connected.value());
    connection_ = connected.take();
    std::optional<uint64_t> line;
    {
        const MutexLock lock(mutex_);
        closing_ = true;
        current_ = connection_.get();
        paths_ = connection_->paths();
        watch_.beginAnew();
        ++connects_;
        line = attemptLog_.admit(Clock::now());
    }
    if (line) {
        LOG(INFO) << name_ << ": connected to " << descriptor_.subsystemNqn << " at "
                  << toString(descriptor_.addresses) << leftOut(*line);
    }
    return {};
}

RemoteSegment::Opened RemoteSegment::openFile(uint32_t fileId, bool live) {
    const auto takeFile = [&] {
        mutex_.assertHeld();
        return waiting_.takeFile(fileId);
    };
    const auto published = pins_.find(fileId);
    if (!published.ok()) {
        const Error& error = published.error();
        endWaiting(takeFile, Error{error.code, name_ + " " + error.message});
        return Opened::kYes;
    }
    const RemoteFile& remote = published.value();
    const std::string file = name_ + " file " + std::to_string(fileId);
    SharedNamespace& ns = *attach(fileId, remote).ns;
    ns.lookAgain(*context_.initiator);
    if (ns.state() != NamespaceState::kOpen) {
        if (!ns.beginOpening()) {
            noteWait("the kernel, which still has I/O of " + file);
            return Opened::kBusy;
        }
        auto opened = context_.initiator->openNamespace(*connection_, remote.nsid, remote.size,
                                                        context_.pool->openFlags(),
                                                        Clock::now() + kOpenSlice);
        if (!opened.ok()) {
            ns.notOpened();
            if (opened.error().code == ENXIO) {
                noteNotOpened("the device of " + file + ": " + opened.error().message);
                return Opened::kNotThere;
            }
            endWaiting(takeFile, Error{opened.error().code, file + ": " + opened.error().message});
            return Opened::kYes;
        }
        notOpenedSince_ = Clock::time_point::max();
        const bool copies = mustCopyWrites(context_.kernelRelease, descriptor_);
        auto taken = ns.open(connection_, opened.take(), {file, copies}, client_);
        if (!taken.ok()) {
            endWaiting(takeFile, Error{taken.error().code, file + ": " + taken.error().message});
            return Opened::kYes;
        }
    }
    sendWaiting(fileId, live);
    return Opened::kYes;
}

// What is gone through again and again for a device that is missing is not what is waited for.
void RemoteSegment::noteWait(std::string what) {
    if (notOpenedSince_ != Clock::time_point::max()) return;
    const MutexLock lock(mutex_);
    waitsFor_ = std::move(what);
}

// A device may take a moment; for longer, something is wrong that should be told before requests
// fail.
void RemoteSegment::noteNotOpened(const std::string& why) {
    constexpr std::chrono::seconds kWorthALine{2};
    const auto now = Clock::now();
    notOpenedSince_ = std::min(notOpenedSince_, now);
    std::optional<uint64_t> line;
    {
        const MutexLock lock(mutex_);
        waitsFor_ = why;
        if (now - notOpenedSince_ >= kWorthALine) line = attemptLog_.admit(now);
    }
    if (line) LOG(WARNING) << name_ << " waits for " << why << leftOut(*line);
}

const FileRoute& RemoteSegment::attach(uint32_t fileId, const RemoteFile& remote) {
    SharedNamespace::Key key{descriptor_.subsystemNqn, remote.nsid};
    const auto known = files_.find(fileId);
    if (known != files_.end() && known->second.ns->key() == key) return known->second;
    // Of an incarnation of before, which is still connected.
    if (known != files_.end()) {
        detachFilesExcept([fileId](uint32_t other, const FileRoute&) { return other != fileId; });
    }
    FileRoute route{namespaces_.get(key), nullptr, remote.align};
    {
        const MutexLock lock(mutex_);
        route.counters = counters_.add(fileId, [this](uint32_t id) { return pins_.isThere(id); });
        if (std::find(namespacesInUse_.begin(), namespacesInUse_.end(), route.ns) ==
            namespacesInUse_.end()) {
            namespacesInUse_.push_back(route.ns);
        }
    }
    const FileRoute& attached = files_.emplace(fileId, std::move(route)).first->second;
    attached.ns->attach();
    publishRoutes();
    return attached;
}

void RemoteSegment::publishRoutes() {
    auto routes = std::make_unique<FileRoutes>(files_.size());
    for (const auto& [id, file] : files_) routes->add(id, file);
    retired_.add(routes_.replace(std::move(routes)));
    retired_.collect();
}

template <class Keep>
void RemoteSegment::detachFilesExcept(const Keep& keep) {
    std::vector<std::shared_ptr<SharedNamespace>> gone;
    std::erase_if(files_, [&](const auto& file) {
        if (keep(file.first, file.second)) return false;
        gone.push_back(file.second.ns);
        return true;
    });
    if (gone.empty()) return;
    publishRoutes();
    for (const auto& ns : gone) ns->detach();
    const MutexLock lock(mutex_);
    closing_ = true;
}

// @return false: the file is not open
bool RemoteSegment::sendWaiting(uint32_t fileId, bool live) {
    const auto file = files_.find(fileId);
    if (file == files_.end()) return false;
    const ReadSection reading;
    const SharedNamespace::Opening* const opening = file->second.ns->opening();
    if (opening == nullptr) return false;
    WaitingRequests::Taken ready;
    {
        const MutexLock lock(mutex_);
        const auto now = Clock::now();
        if (!live) waiting_.postponeRetries(fileId, now, now + kRetryPause);
        ready = waiting_.takeDue(fileId, now);
    }
    // A page of somebody's memory must not hold up the segment.
    SubmitWindow window(*context_.pool, Submitter::kWorkers);
    for (const auto& [deadline, entry] : ready) {
        const IoRequest& request = entry.waiting.request;
        const int refusal = file->second.refusal(request, *opening, context_.refuseUnalignedWrites);
        if (refusal != 0) {
            context_.owner->onEnded(request.context, refusal, 0, *file->second.counters);
        } else {
            window.add(*opening, request, entry.waiting.retries);
        }
    }
    window.submit();
    if (!ready.empty()) noteSubmitted();
    return true;
}

// Nobody has used the segment for long: lets go of all but what the numbers of its files mean.
// @return whether the thread is to end
bool RemoteSegment::rest() {
    const IoDevice::Activity now = activity();
    {
        const MutexLock lock(mutex_);
        const bool used = now.ended != std::exchange(restSeen_, now.ended) ||
                          now.outstanding != 0 || !waiting_.empty();
        if (used) return false;
        if (state_ == SegmentState::kStopping) return false;
    }
    detachFilesExcept([](uint32_t, const FileRoute&) { return false; });
    seeOut();
    dropConnection();
    rested_ = true;
    const MutexLock lock(mutex_);
    // Requests that came meanwhile need the thread.
    if (!waiting_.empty() || state_ == SegmentState::kStopping) return false;
    moveTo(SegmentState::kIdle);
    refresh_ = suspects_ = look_ = false;
    hasThread_ = false;
    context_.callAt(Clock::time_point{});
    return true;
}

void RemoteSegment::finish() {
    detachFilesExcept([](uint32_t, const FileRoute&) { return false; });
    seeOut();
    dropConnection();
    const MutexLock lock(mutex_);
    hasThread_ = false;
    context_.callAt(Clock::time_point{});
}

// The memory of I/O is the kernel's until it gives it back.
void RemoteSegment::seeOut() {
    while (true) {
        tidyUp();
        bool look = false;
        {
            const MutexLock lock(mutex_);
            if (!closing_) return;
            LOG_EVERY_T(INFO, 5) << name_ << ": waiting until the kernel has ended the I/O it has";
            wake_.waitUntil(mutex_, Clock::now() + kSeeOutPause);
            look = std::exchange(look_, false);
        }
        if (look) lookAtConnection();
    }
}

void RemoteSegment::dropConnection() {
    {
        const MutexLock lock(mutex_);
        current_ = nullptr;
        paths_ = nullptr;
        watch_.beginAnew();
    }
    connection_.reset();
}

}  // namespace mooncake::nvmeof_generic
