// SPDX-License-Identifier: Apache-2.0
#include "etcd_watch.h"

#include <set>
#include <thread>

#include "key_range.h"
#include "record_codec.h"

namespace mooncake::store {

using std::chrono::steady_clock;

// At most one operation is under way, and its end is the next thing in the queue.
struct EtcdWatch::Stream {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    std::unique_ptr<grpc::ClientAsyncReaderWriter<rpc::WatchRequest, rpc::WatchResponse>> stream;
    rpc::WatchResponse response;
    size_t server = 0;

    ~Stream() {
        context.TryCancel();
        queue.Shutdown();
        void* tag = nullptr;
        bool ok = false;
        while (queue.Next(&tag, &ok)) {
        }
    }

    enum class End { kDone, kBroken, kLate };
    End wait(Deadline deadline) {
        void* tag = nullptr;
        bool ok = false;
        const auto status = queue.AsyncNext(&tag, &ok, timeUntil(deadline));
        if (status == grpc::CompletionQueue::TIMEOUT) return End::kLate;
        return status == grpc::CompletionQueue::GOT_EVENT && ok ? End::kDone : End::kBroken;
    }
};

EtcdWatch::EtcdWatch(const EtcdStore* store, const EtcdFiles* files,
                     std::chrono::milliseconds attempt)
    : store_(store), files_(files), attempt_(attempt) {}

EtcdWatch::~EtcdWatch() = default;

Result<Changes> EtcdWatch::reload(Deadline deadline) {
    auto state = files_->state(deadline);
    if (!state) return tl::unexpected<Error>(state.error());
    state_ = std::move(*state);
    loaded_ = true;
    mounts_.clear();
    Changes changes;
    changes.complete = true;
    for (const auto& [number, file] : state_.files) {
        changes.files.push_back(file);
        if (file.mount) mounts_[number] = *file.mount;
    }
    return changes;
}

Result<> EtcdWatch::openStream(Deadline deadline) {
    EtcdCluster& cluster = *store_->cluster;
    auto stream = std::make_unique<Stream>();
    stream->server = cluster.preferred();
    if (auto allowed = cluster.authorize(&stream->context, stream->server, deadline); !allowed) {
        cluster.moveOn(stream->server);
        return allowed;
    }
    // A member that has lost the others ends it instead of staying silent.
    stream->context.AddMetadata("hasleader", "true");
    // It lives longer than this call.
    stream->context.set_deadline(gpr_inf_future(GPR_CLOCK_MONOTONIC));
    stream->stream =
        cluster.watchStub(stream->server)->AsyncWatch(&stream->context, &stream->queue, nullptr);
    const Deadline end = std::min(deadline, steady_clock::now() + attempt_);
    rpc::WatchRequest request;
    const std::string prefix = store_->keys.state();
    request.mutable_create_request()->set_key(prefix);
    request.mutable_create_request()->set_range_end(endOfPrefix(prefix));
    request.mutable_create_request()->set_start_revision(state_.revision + 1);
    bool opened = stream->wait(end) == Stream::End::kDone;
    if (opened) {
        stream->stream->Write(request, nullptr);
        opened = stream->wait(end) == Stream::End::kDone;
    }
    if (!opened) {
        cluster.moveOn(stream->server);
        return failed(Failure::kUnavailable,
                      "the directory on etcd cannot be watched: its server does not answer; is it "
                      "running, and can this node reach it?");
    }
    stream->stream->Read(&stream->response, nullptr);
    stream_ = std::move(stream);
    return {};
}

std::optional<Changes> EtcdWatch::take(const rpc::WatchResponse& response) {
    // What was to come next is gone, or the server was set back to before what is known here.
    if (response.canceled() || response.compact_revision() != 0 ||
        response.header().revision() < state_.revision) {
        return std::nullopt;
    }
    Changes changes;
    std::set<FileNumber> changed;
    const EtcdKeys& keys = store_->keys;
    for (const rpc::Event& event : response.events()) {
        const std::string& key = event.kv().key();
        const bool gone = event.type() == rpc::Event::DELETE;
        const auto number = EtcdKeys::numberAt(key);
        if (!number) continue;
        if (key.starts_with(keys.files())) {
            const auto record = decodeFile(event.kv().value());
            if (gone || !record) continue;
            FileInfo& file = state_.files[*number];
            file.number = *number;
            file.description = record->description;
            file.state = record->state;
            changed.insert(*number);
        } else if (key.starts_with(keys.mounts())) {
            mounts_.erase(*number);
            const auto mount = gone ? std::nullopt : decodeMount(event.kv().value());
            if (mount) mounts_[*number] = *mount;
            changed.insert(*number);
        } else if (const auto file = EtcdKeys::numberAt(key, 9); file && !gone) {
            const RegionId id{*file, *number};
            if (const auto record = decodeRegion(event.kv().value())) {
                changes.regions.push_back(
                    record->with(id, static_cast<uint64_t>(event.kv().mod_revision())));
            }
        }
    }
    for (const FileNumber number : changed) {
        const auto file = state_.files.find(number);
        if (file == state_.files.end()) continue;
        const auto mount = mounts_.find(number);
        file->second.mount =
            mount == mounts_.end() ? std::nullopt : std::optional<Mount>(mount->second);
        changes.files.push_back(file->second);
    }
    state_.revision = std::max(state_.revision, response.header().revision());
    return changes;
}

Result<Changes> EtcdWatch::next(Deadline deadline) {
    if (!loaded_) return reload(deadline);
    for (;;) {
        if (!stream_) {
            if (auto opened = openStream(deadline); !opened) {
                if (steady_clock::now() + std::chrono::milliseconds(50) >= deadline) {
                    return tl::unexpected<Error>(opened.error());
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
                continue;
            }
        }
        switch (stream_->wait(deadline)) {
            case Stream::End::kLate:
                return Changes();
            case Stream::End::kBroken:
                store_->cluster->moveOn(stream_->server);
                stream_.reset();
                continue;
            case Stream::End::kDone:
                break;
        }
        const auto changes = take(stream_->response);
        if (!changes) {
            stream_.reset();
            loaded_ = false;
            return reload(deadline);
        }
        stream_->response.Clear();
        stream_->stream->Read(&stream_->response, nullptr);
        if (!changes->empty()) return *changes;
    }
}

}  // namespace mooncake::store
