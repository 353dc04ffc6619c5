// SPDX-License-Identifier: Apache-2.0
// Transport: what moves bytes between segments of one protocol, and the types in which the engine
// hands it work.
//
// A request becomes a task; the transport cuts the task into slices and ends every slice exactly
// once. Completion is polled: whoever asks for a task's status compares its counters.
//
// Memory order. A slice and its task belong to the transport until it ends the slice; from then on
// the poller may free both. So markSuccess and markFailed write everything else first, and last add
// 1 to success_slice_count or failed_slice_count with release; after that neither the slice nor the
// task may be touched. The poller reads the two counters with acquire. Additions are
// read-modify-write operations, which prolong the release sequence, so a poller that sees the sum
// of all slices sees the writes of every thread that ended one: the bytes in the buffers, the other
// counters, the slices' states. It reads the counters before slice_count: a transport raises
// slice_count to its final value before the first slice can end, so a poller that counts an ended
// slice knows how many there are.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "transfer_metadata.h"

namespace mooncake {

// Thread rule: every function may be called from any thread, several at once; installation and
// destruction are called once each. Functions that return int give 0 or one of error.h; they log
// what went wrong.
//
// The destructor ends every request that is still in flight before it returns.
class Transport {
    friend class TransferEngine;
    friend class MultiTransport;

 public:
    using SegmentID = uint64_t;
    using SegmentHandle = SegmentID;
    using FileBufferID = TransferMetadata::FileBufferID;
    // A number without meaning to programs. Of a batch that comes from a transport's own
    // allocateBatchID it is the address of the BatchDesc; of one from the engine it is not.
    using BatchID = uint64_t;
    static constexpr BatchID INVALID_BATCH_ID = UINT64_MAX;

    using BufferDesc = TransferMetadata::BufferDesc;
    using SegmentDesc = TransferMetadata::SegmentDesc;
    using HandShakeDesc = TransferMetadata::HandShakeDesc;
    using NotifyDesc = TransferMetadata::NotifyDesc;

    struct TransferRequest {
        enum OpCode { READ, WRITE };

        OpCode opcode;  // READ: from the segment to `source`; WRITE: from `source` to the segment
        void* source;   // local memory, the caller's until the task is done
        SegmentID target_id;     // what openSegment gave
        uint64_t target_offset;  // bytes from the file's start
        size_t length;           // bytes
        int advise_retry_cnt = 0;
        FileBufferID file_id = 0;  // which file of the segment; 0 for segments without files
    };

    enum TransferStatusEnum { WAITING, PENDING, INVALID, CANCELED, COMPLETED, TIMEOUT, FAILED };

    struct TransferStatus {
        TransferStatusEnum s;
        size_t transferred_bytes;
    };

    struct TransferTask;

    // A part of a task. Comes from getSliceCache().allocate() and goes into its task's slice_list,
    // whose destructor gives it back.
    struct Slice {
#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wshadow"
#endif
        enum SliceStatus { PENDING, POSTED, SUCCESS, TIMEOUT, FAILED };
#ifdef __clang__
#pragma clang diagnostic pop
#endif

        void* source_addr = nullptr;
        size_t length = 0;
        TransferRequest::OpCode opcode = TransferRequest::READ;
        FileBufferID file_id = 0;
        SegmentID target_id = 0;
        TransferTask* task = nullptr;
        // For the transport's own use: the task's counters tell others how a slice ended.
        std::atomic<SliceStatus> status{PENDING};
        bool from_cache = false;
        // Nanoseconds when it was posted, 0 before; for the transport's own use.
        std::atomic<int64_t> ts{0};

        // End the slice: once, by whoever owns it. Afterwards slice and task may be gone.
        void markSuccess();
        void markFailed();
    };

    // The calling thread's store of unused slices. A slice may be given back on another thread than
    // it came from.
    class ThreadLocalSliceCache {
     public:
        ThreadLocalSliceCache() = default;
        ~ThreadLocalSliceCache();
        ThreadLocalSliceCache(const ThreadLocalSliceCache&) = delete;
        ThreadLocalSliceCache& operator=(const ThreadLocalSliceCache&) = delete;

        // A slice in its first state. Throws std::bad_alloc.
        Slice* allocate();
        void deallocate(Slice* slice) noexcept;

     private:
        friend class Transport;
        static constexpr size_t kCapacity = 4096;
        explicit ThreadLocalSliceCache(size_t capacity) : capacity_(capacity) {}

        std::vector<Slice*> free_;
        const size_t capacity_ = kCapacity;
    };

    struct TransferTask {
        // 0 until the transport has cut the task; then final before the first slice can end.
        std::atomic<uint64_t> slice_count{0};
        std::atomic<uint64_t> success_slice_count{0};
        std::atomic<uint64_t> failed_slice_count{0};
        // Bytes of the slices that succeeded; ordered by the counters above.
        std::atomic<uint64_t> transferred_bytes{0};
        // A poller has seen the end.
        std::atomic<bool> is_finished{false};
        uint64_t total_bytes = 0;  // for the transport's own use
        BatchID batch_id = 0;
        // Points into the vector given to submitTransfer: valid until submitTransferTask returns,
        // not later.
        const TransferRequest* request = nullptr;
        std::vector<Slice*> slice_list;

        TransferTask() = default;
        ~TransferTask();
        // For std::vector, which asks for it. A task with slices must not move: they point to it.
        TransferTask(TransferTask&& other) noexcept;
        TransferTask& operator=(TransferTask&&) = delete;

        // As new, but for memory that it keeps. Its slices have ended.
        void clear() noexcept;
    };

    struct BatchDesc {
        BatchID id = 0;
        size_t batch_size = 0;
        // Reserved to batch_size and never beyond, so a task keeps its address as long as the batch
        // lives.
        std::vector<TransferTask> task_list;
        void* context = nullptr;  // for the transport
        int64_t start_timestamp = 0;
    };

    virtual ~Transport() = default;

    // A batch for up to `batch_size` tasks, to be freed with freeBatchID. INVALID_BATCH_ID without
    // memory. The engine has batches of its own; these two serve a transport that is used directly.
    virtual BatchID allocateBatchID(size_t batch_size);
    // `batch_id` must come from this object's allocateBatchID. BatchBusy while a task is
    // unfinished.
    virtual Status freeBatchID(BatchID batch_id);

    // Appends tasks for `entries` to a batch of allocateBatchID and submits them.
    virtual Status submitTransfer(BatchID batch_id,
                                  const std::vector<TransferRequest>& entries) = 0;

    // Takes over tasks of one call to the engine. Each task gets its slices counted and each slice
    // is ended once, perhaps before this returns. What is wrong with one request (a null buffer,
    // length 0, a range outside the file) fails that task and no other. A status that is not OK
    // says that the tasks with slice_count 0 were not accepted.
    virtual Status submitTransferTask(const std::vector<TransferTask*>& task_list) {
        (void)task_list;
        return Status::NotImplemented("Transport::submitTransferTask is not implemented");
    }

    // The state of the task with this index, from 0, of a batch of allocateBatchID: WAITING, then
    // COMPLETED or FAILED for good. InvalidArgument for a task that was not submitted.
    virtual Status getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status) = 0;

    // What the transport was installed with; null before.
    std::shared_ptr<TransferMetadata>& meta() {
        return metadata_;
    }

    struct BufferEntry {
        void* addr;
        size_t length;
    };

 protected:
    // Called once, before anything else. `local_server_name` is the name of the local segment. Both
    // keep name and metadata; an override does so itself, or calls these. A failure leaves nothing
    // behind.
    virtual int install(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                        std::shared_ptr<Topology> topo);
    // `args` is what the program gave installTransport, or null.
    virtual int installWithArgs(std::string& local_server_name,
                                std::shared_ptr<TransferMetadata> meta, void** args);

    // The calling thread's. A thread whose thread_local objects are being destroyed, or were, may
    // use it as well.
    static ThreadLocalSliceCache& getSliceCache();

    std::string local_server_name_;
    std::shared_ptr<TransferMetadata> metadata_;

 private:
    // Memory of `length` bytes from `addr` that requests will name, at `location` ("cpu:0", or "*"
    // for anywhere). It stays its owner's, who unregisters it first. The batch forms do all or
    // nothing.
    virtual int registerLocalMemory(void* addr, size_t length, const std::string& location,
                                    bool remote_accessible, bool update_metadata = true) = 0;
    virtual int unregisterLocalMemory(void* addr, bool update_metadata = true) = 0;
    virtual int registerLocalMemoryBatch(const std::vector<BufferEntry>& buffer_list,
                                         const std::string& location) = 0;
    virtual int unregisterLocalMemoryBatch(const std::vector<void*>& addr_list) = 0;

    virtual bool supportFileBuffer() {
        return false;
    }
    // Offers the first `size` bytes of a file to other nodes under an id that the engine has not
    // given before, and publishes it. A failure leaves nothing registered.
    virtual int registerLocalFile(FileBufferID id, const std::string& path, size_t size) {
        (void)id, (void)path, (void)size;
        return ERR_NOT_IMPLEMENTED;
    }
    // Takes it back. After a failure it may be called again.
    virtual int unregisterLocalFile(FileBufferID id) {
        (void)id;
        return ERR_NOT_IMPLEMENTED;
    }

    // The protocol, as in installTransport and in SegmentDesc::protocol.
    virtual const char* getName() const = 0;

    static void releaseSlices(std::vector<Slice*>& slices);
};

inline void Transport::Slice::markSuccess() {
    TransferTask* const owner = task;
    const size_t bytes = length;
    status.store(SUCCESS, std::memory_order_relaxed);
    owner->transferred_bytes.fetch_add(bytes, std::memory_order_relaxed);
    owner->success_slice_count.fetch_add(1, std::memory_order_release);
}

inline void Transport::Slice::markFailed() {
    TransferTask* const owner = task;
    status.store(FAILED, std::memory_order_relaxed);
    owner->failed_slice_count.fetch_add(1, std::memory_order_release);
}

}  // namespace mooncake
