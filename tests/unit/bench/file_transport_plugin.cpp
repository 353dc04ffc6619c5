// SPDX-License-Identifier: Apache-2.0
// A transport named nvmeof_generic that needs no kernel: target and initiator share the host, and
// the initiator opens the target's file by its path. FILE_TRANSPORT_FAULT makes it fail at the
// block at offset 0 of a file: "fail" ends writes FAILED, "lose" completes them without writing,
// "refuse" lets no file be registered but the first.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "transport/nvmeof_generic_transport/transport_stats.h"
#include "transport/transport_plugin.h"

namespace {

using namespace mooncake;

class FileTransport final : public Transport, public SubmitStatsSource {
 public:
    FileTransport() {
        const char* fault = getenv("FILE_TRANSPORT_FAULT");
        if (fault != nullptr) fault_ = fault;
    }

    Status submitTransfer(BatchID, const std::vector<TransferRequest>&) override {
        return Status::NotImplemented("the engine submits tasks");
    }
    Status getTransferStatus(BatchID, size_t, TransferStatus&) override {
        return Status::NotImplemented("the engine counts slices");
    }

    Status submitTransferTask(const std::vector<TransferTask*>& tasks) override {
        ++calls_;
        tasks_ += tasks.size();
        for (TransferTask* task : tasks) {
            const TransferRequest request = *task->request;
            Slice* slice = getSliceCache().allocate();
            slice->source_addr = request.source;
            slice->length = request.length;
            slice->task = task;
            task->slice_list.push_back(slice);
            task->slice_count = 1;
            if (transfer(request)) {
                slice->markSuccess();
            } else {
                slice->markFailed();
            }
        }
        return Status::OK();
    }

    SubmitStats submitStats() const override { return {calls_, tasks_}; }

 protected:
    int installWithArgs(std::string& name, std::shared_ptr<TransferMetadata> meta,
                        void** args) override {
        Transport::installWithArgs(name, meta, args);
        auto segment = std::make_shared<SegmentDesc>();
        segment->name = name;
        segment->protocol = getName();
        // What a descriptor of this protocol must have.
        segment->nvmeof_generic_trid = {"tcp", "ipv4", "127.0.0.1", "4420",
                                        "nqn.2026-01.test:none"};
        const int rc = meta->addLocalSegment(LOCAL_SEGMENT_ID, name, std::move(segment));
        return rc != 0 ? rc : meta->updateLocalSegmentDesc();
    }

 private:
    bool transfer(const TransferRequest& request) {
        const bool writing = request.opcode == TransferRequest::WRITE;
        if (writing && request.target_offset == 0 && fault_ == "fail") return false;
        if (writing && request.target_offset == 0 && fault_ == "lose") return true;
        const auto segment = metadata_->getSegmentDescByID(request.target_id);
        if (!segment) return false;
        for (const auto& file : segment->file_buffers) {
            if (file.id != request.file_id) continue;
            const int fd = open(file.path.c_str(), O_RDWR | O_CLOEXEC);
            const auto offset = static_cast<off_t>(request.target_offset);
            const ssize_t moved = writing ? pwrite(fd, request.source, request.length, offset)
                                          : pread(fd, request.source, request.length, offset);
            close(fd);
            return moved == static_cast<ssize_t>(request.length);
        }
        return false;
    }

    int registerLocalMemory(void*, size_t, const std::string&, bool, bool) override { return 0; }
    int unregisterLocalMemory(void*, bool) override { return 0; }
    int registerLocalMemoryBatch(const std::vector<BufferEntry>&, const std::string&) override {
        return 0;
    }
    int unregisterLocalMemoryBatch(const std::vector<void*>&) override { return 0; }
    bool supportFileBuffer() override { return true; }
    int registerLocalFile(FileBufferID id, const std::string& path, size_t size) override {
        if (fault_ == "refuse" && id > 1) return ERR_INVALID_ARGUMENT;
        TransferMetadata::FileBufferDesc file;
        file.id = id;
        file.path = path;
        file.size = size / 4096 * 4096;
        file.align = 4096;
        return metadata_->addFileBuffer(file, true);
    }
    int unregisterLocalFile(FileBufferID id) override {
        return metadata_->removeFileBuffer(id, true);
    }
    const char* getName() const override { return "nvmeof_generic"; }

    std::string fault_;
    std::atomic<uint64_t> calls_{0};
    std::atomic<uint64_t> tasks_{0};
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const mooncake::TransportPlugin*
mooncake_transport_plugin() {
    static const mooncake::TransportPlugin plugin = {
        mooncake::kTransportPluginMagic,
        mooncake::kTransportPluginAbiMajor,
        mooncake::kTransportPluginAbiMinor,
        "nvmeof_generic",
        "test",
        mooncake::transportEngineFingerprint(),
        []() -> mooncake::Transport* { return new FileTransport; },
        [](mooncake::Transport* transport) { delete transport; },
    };
    return &plugin;
}
