// SPDX-License-Identifier: Apache-2.0
#include "memory_transport.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include "transport/transport_plugin.h"

namespace test_support {
namespace {

using namespace mooncake;

class MemoryTransport : public Transport {
 public:
    ~MemoryTransport() override {
        {
            const std::lock_guard lock(control_->mutex);
            stopping_ = true;
        }
        control_->changed.notify_all();
        if (worker_.joinable()) worker_.join();
        if (metadata_) metadata_->removeSegmentDesc(local_server_name_);
    }

    Status submitTransfer(BatchID, const std::vector<TransferRequest>&) override {
        return Status::NotImplemented("the engine does not call this");
    }
    Status getTransferStatus(BatchID, size_t, TransferStatus&) override {
        return Status::NotImplemented("the engine does not call this");
    }

    Status submitTransferTask(const std::vector<TransferTask*>& tasks) override {
        std::vector<Move> moves;
        for (TransferTask* task : tasks) {
            const TransferRequest& request = *task->request;
            Slice* const slice = getSliceCache().allocate();
            slice->length = request.length;
            slice->task = task;
            task->slice_list.push_back(slice);
            task->slice_count = 1;
            const std::string path = pathOf(request);
            moves.push_back({request, path, control_->fault(request, path), slice});
        }
        {
            const std::lock_guard lock(control_->mutex);
            ++control_->calls;
            for (Move& move : moves) {
                control_->requests.push_back(move.request);
                control_->held += move.fault == TransferFault::kHold;
                moves_.push_back(std::move(move));
            }
        }
        control_->changed.notify_all();
        return Status::OK();
    }

 protected:
    int installWithArgs(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                        void** args) override {
        control_ = static_cast<MemoryTransportControl*>(args[0]);
        Transport::installWithArgs(local_server_name, meta, args);
        auto desc = std::make_shared<SegmentDesc>();
        desc->name = local_server_name_;
        desc->protocol = "memory";
        const int rc =
            metadata_->addLocalSegment(LOCAL_SEGMENT_ID, local_server_name_, std::move(desc));
        if (rc != 0) return rc;
        random_.seed(control_->seed);
        worker_ = std::thread([this] { work(); });
        return metadata_->updateLocalSegmentDesc();
    }

 private:
    struct Move {
        TransferRequest request;
        std::string path;
        TransferFault fault;
        Slice* slice;
    };

    int registerLocalMemory(void*, size_t, const std::string&, bool, bool) override { return 0; }
    int unregisterLocalMemory(void*, bool) override { return 0; }
    int registerLocalMemoryBatch(const std::vector<BufferEntry>&, const std::string&) override {
        return 0;
    }
    int unregisterLocalMemoryBatch(const std::vector<void*>&) override { return 0; }
    bool supportFileBuffer() override { return true; }
    int registerLocalFile(FileBufferID id, const std::string& path, size_t size) override {
        {
            const std::lock_guard lock(control_->mutex);
            auto& bytes = control_->files[path];
            if (!bytes) bytes = control_->make_file();
            bytes->resize(size);
        }
        return metadata_->addFileBuffer({id, path, size, 0}, true);
    }
    int unregisterLocalFile(FileBufferID id) override {
        return metadata_->removeFileBuffer(id, true);
    }
    const char* getName() const override { return "memory"; }

    std::string pathOf(const TransferRequest& request) {
        const auto desc = metadata_->getSegmentDescByID(request.target_id);
        if (!desc) return "";
        for (const auto& file : desc->file_buffers) {
            if (file.id == request.file_id) return file.path;
        }
        return "";
    }

    void work() {
        std::unique_lock lock(control_->mutex);
        for (;;) {
            const auto ready = [&](const Move& move) {
                return move.fault != TransferFault::kHold || control_->released || stopping_;
            };
            control_->changed.wait(lock, [&] {
                return stopping_ || std::any_of(moves_.begin(), moves_.end(), ready);
            });
            if (moves_.empty()) return;
            size_t which = random_() % moves_.size();
            while (!ready(moves_[which])) which = (which + 1) % moves_.size();
            const Move move = std::move(moves_[which]);
            moves_.erase(moves_.begin() + static_cast<ptrdiff_t>(which));
            if (move.fault == TransferFault::kHold) --control_->held;
            const auto found = control_->files.find(move.path);
            const auto bytes = found == control_->files.end() ? nullptr : found->second;
            lock.unlock();
            const bool success = bytes && carryOut(move, *bytes);
            success ? move.slice->markSuccess() : move.slice->markFailed();
            lock.lock();
        }
    }

    static bool carryOut(const Move& move, MemoryTransportControl::Bytes& file) {
        const TransferRequest& request = move.request;
        if (move.fault == TransferFault::kFail || request.length == 0) return false;
        if (request.target_offset > file.size() ||
            request.length > file.size() - request.target_offset) {
            return false;
        }
        const bool half = move.fault == TransferFault::kTear || move.fault == TransferFault::kLie;
        const size_t length = half ? request.length / 2 : request.length;
        std::byte* const there = file.data() + request.target_offset;
        auto* const here = static_cast<std::byte*>(request.source);
        const bool reads = request.opcode == TransferRequest::READ;
        std::memcpy(reads ? here : there, reads ? there : here, length);
        if (move.fault == TransferFault::kCorrupt) {
            (reads ? here : there)[length / 3] ^= std::byte{0x40};
        }
        return move.fault != TransferFault::kTear;
    }

    MemoryTransportControl* control_ = nullptr;
    std::mt19937_64 random_;
    std::vector<Move> moves_;  // under the control's mutex
    bool stopping_ = false;    // the same
    std::thread worker_;
};

constexpr TransportPlugin description() {
    TransportPlugin plugin{};
    plugin.magic = kTransportPluginMagic;
    plugin.abi_major = kTransportPluginAbiMajor;
    plugin.abi_minor = kTransportPluginAbiMinor;
    plugin.plugin_name = "memory";
    plugin.plugin_version = "1";
    plugin.engine_fingerprint = transport_plugin_detail::kFingerprint.text;
    plugin.create = []() -> Transport* { return new MemoryTransport(); };
    plugin.destroy = [](Transport* transport) { delete transport; };
    return plugin;
}

}  // namespace
}  // namespace test_support

extern "C" __attribute__((visibility("default"))) const mooncake::TransportPlugin*
mooncake_transport_plugin() {
    static constexpr mooncake::TransportPlugin kPlugin = test_support::description();
    return &kPlugin;
}
