// SPDX-License-Identifier: Apache-2.0
#include "remote_segment.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

// How long one file may keep the segment's thread waiting for its device, while others wait for
// theirs.
constexpr std::chrono::milliseconds kOpenSlice{200};

// Until the next look for a device that was not there.
constexpr std::chrono::milliseconds kOpenPause{100};

// Between two looks at the metadata and the connection that failing I/O asks for.
constexpr std::chrono::milliseconds kSuspectPause{500};

// The namespace is gone (kernel-facts.md, failure timing): the descriptor will never do I/O again.
bool meansGone(int error) {
    return error == ENODATA || error == ENOSPC || error == ENODEV || error == ENXIO;
}

bool hasFiles(const RemoteDescriptor& descriptor, const std::set<uint32_t>& files) {
    return std::all_of(files.begin(), files.end(),
                       [&](uint32_t id) { return descriptor.fileSizes.contains(id); });
}

}  // namespace

/// Hears from the pool how I/O on one opening of one file ended.
class RemoteSegment::FileListener : public IoListener {
 public:
    FileListener(RemoteSegment& segment, uint32_t fileId) : segment_(segment), fileId_(fileId) {}

    void onIoDone(void* context, int error, uint64_t bytes) noexcept override {
        // The note comes first: whoever sees the failed request finds the segment mending already.
        if (error != 0 && error != EINVAL && error != ECANCELED)
            segment_.onIoError(fileId_, this, error);
        segment_.context_.ended(context, error, bytes);
    }

 private:
    RemoteSegment& segment_;
    const uint32_t fileId_;
};

RemoteSegment::RemoteSegment(std::string name, RemoteSegmentContext context)
    : name_(std::move(name)), context_(std::move(context)), thread_([this] { run(); }) {}

RemoteSegment::~RemoteSegment() {
    stop();
}

void RemoteSegment::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
    closeFiles();
    endWaiting([](const Waiting&) { return true; },
               Error{ECANCELED, "the transport is being shut down"});
}

void RemoteSegment::submit(uint32_t fileId, const IoRequest* requests, size_t count) {
    std::shared_ptr<IoDevice> device;
    int refusal = 0;
    {
        std::lock_guard lock(mutex_);
        const auto file = files_.find(fileId);
        const auto now = Clock::now();
        if (stopping_) {
            refusal = ECANCELED;
        } else if (file != files_.end()) {
            device = file->second.device;
        } else if (pace_.failingFor(context_.patience, now) && now < pace_.notBefore()) {
            refusal = lastError_.code;
        } else {
            for (size_t i = 0; i < count; ++i) {
                waiting_.push_back({fileId, now + context_.patience, requests[i]});
            }
        }
    }
    if (device) {
        context_.pool->submit(device, requests, count);
    } else if (refusal != 0) {
        for (size_t i = 0; i < count; ++i) context_.ended(requests[i].context, refusal, 0);
    } else {
        wake_.notify_one();
    }
}

void RemoteSegment::onIoError(uint32_t fileId, const FileListener* listener, int error) {
    std::shared_ptr<IoDevice> gone;
    {
        std::lock_guard lock(mutex_);
        suspect_ = true;
        const auto found = files_.find(fileId);
        if (meansGone(error) && found != files_.end() && found->second.listener.get() == listener) {
            gone = found->second.device;
            files_.erase(found);
        }
    }
    LOG_EVERY_T(WARNING, 1) << name_ << ": I/O on file " << fileId
                            << " failed: " << strerrordesc_np(error);
    if (gone) context_.pool->closeDevice(gone);
    wake_.notify_one();
}

void RemoteSegment::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const auto when = wakeTime();
        if (when == Clock::time_point::max()) {
            wake_.wait(lock);
        } else if (when > Clock::now()) {
            wake_.wait_until(lock, when);
        } else {
            const auto now = Clock::now();
            if (now >= pace_.notBefore()) attempt(lock);
            const Error late{ETIMEDOUT,
                             name_ + " gave no answer in time" +
                                 (lastError_.code != 0 ? "; last: " + lastError_.message : "")};
            lock.unlock();
            endWaiting([now](const Waiting& waiting) { return waiting.deadline <= now; }, late);
            lock.lock();
        }
    }
}

RemoteSegment::Clock::time_point RemoteSegment::wakeTime() const {
    if (waiting_.empty()) return suspect_ ? pace_.notBefore() : Clock::time_point::max();
    return std::min(pace_.notBefore(), waiting_.front().deadline);
}

void RemoteSegment::attempt(std::unique_lock<std::mutex>& lock) {
    std::set<uint32_t> wanted;
    for (const Waiting& waiting : waiting_) wanted.insert(waiting.fileId);
    const bool suspect = std::exchange(suspect_, false);
    const bool fresh =
        suspect || lastError_.code != 0 || (connection_ && !hasFiles(descriptor_, wanted));
    lock.unlock();

    const Result<> result = bringUp(fresh, wanted);
    bool allThere = true;
    if (result.ok()) {
        for (uint32_t fileId : wanted) allThere = openFile(fileId) && allThere;
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
    if (error.message != lastError_.message) LOG(WARNING) << error.message;
    lastError_ = error;
    pace_.failed(now);
    // A descriptor that makes no sense will not make sense in a second either; a segment that has
    // been down for long costs each new request one attempt and not all its patience.
    if (error.code == EINVAL || pace_.failingFor(context_.patience, now)) {
        lock.unlock();
        endWaiting([](const Waiting&) { return true; }, error);
        lock.lock();
    }
}

Result<> RemoteSegment::bringUp(bool fresh, const std::set<uint32_t>& wanted) {
    // What the service said last is never replaced by what the engine's cache may hold from before.
    if (!fresh && !descriptor_.subsystemNqn.empty()) return useConnection();
    Result<RemoteDescriptor> described = context_.describe(fresh);
    if (!fresh && !(described.ok() && hasFiles(described.value(), wanted))) {
        // The engine cached it when the segment was opened; files may have come since.
        Result<RemoteDescriptor> newer = context_.describe(true);
        if (newer.ok() || !described.ok()) described = std::move(newer);
    }
    if (described.ok()) {
        descriptor_ = described.take();
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
        LOG(INFO) << name_ << ": connected to " << descriptor_.subsystemNqn << " at "
                  << toString(descriptor_.address);
    }
    return {};
}

bool RemoteSegment::openFile(uint32_t fileId) {
    const std::string file = name_ + " file " + std::to_string(fileId);
    const auto isOfFile = [fileId](const Waiting& waiting) { return waiting.fileId == fileId; };
    const auto size = descriptor_.fileSizes.find(fileId);
    if (size == descriptor_.fileSizes.end()) {
        endWaiting(isOfFile,
                   makeError(ENOENT, file, "its node has not registered it, or has withdrawn it"));
        return true;
    }
    auto opened = context_.initiator->openNamespace(
        *connection_, fileId, size->second, context_.pool->openFlags(), Clock::now() + kOpenSlice);
    if (!opened.ok()) {
        if (opened.error().code == ENXIO) return false;
        endWaiting(isOfFile, Error{opened.error().code, file + ": " + opened.error().message});
        return true;
    }
    RemoteNamespace device = opened.take();
    auto listener = std::make_shared<FileListener>(*this, fileId);
    auto added =
        context_.pool->addDevice({std::move(device.fd), file + " (" + device.deviceName + ")",
                                  size->second, device.blockSize, listener});
    if (!added.ok()) {
        endWaiting(isOfFile, Error{added.error().code, file + ": " + added.error().message});
        return true;
    }

    std::vector<IoRequest> ready;
    {
        std::lock_guard lock(mutex_);
        files_[fileId] = {listener, added.value()};
        const auto rest =
            std::stable_partition(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& waiting) { return !isOfFile(waiting); });
        for (auto it = rest; it != waiting_.end(); ++it) ready.push_back(it->request);
        waiting_.erase(rest, waiting_.end());
    }
    if (!ready.empty()) context_.pool->submit(added.value(), ready.data(), ready.size());
    return true;
}

void RemoteSegment::closeFiles() {
    std::unordered_map<uint32_t, OpenFile> closing;
    {
        std::lock_guard lock(mutex_);
        closing.swap(files_);
    }
    for (auto& [id, file] : closing) context_.pool->closeDevice(file.device);
}

void RemoteSegment::endWaiting(const std::function<bool(const Waiting&)>& which,
                               const Error& error) {
    std::vector<Waiting> ending;
    {
        std::lock_guard lock(mutex_);
        const auto rest =
            std::stable_partition(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& waiting) { return !which(waiting); });
        ending.assign(rest, waiting_.end());
        waiting_.erase(rest, waiting_.end());
    }
    if (ending.empty()) return;
    LOG_EVERY_T(ERROR, 1) << ending.size() << " request(s) failed: " << error.message;
    for (const Waiting& waiting : ending) context_.ended(waiting.request.context, error.code, 0);
}

}  // namespace mooncake::nvmeof_generic
