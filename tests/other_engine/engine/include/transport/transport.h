// SPDX-License-Identifier: Apache-2.0
// What differs from this project's header of the same name, and what the plugin has to bear:
// counters that are volatile, a file id without a default, slices and batches with members of other
// transports, functions with bodies of their own.
#pragma once

#include <errno.h>
#include <libaio.h>
#include <stddef.h>
#include <stdint.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "transfer_metadata.h"

namespace mooncake {

class Transport {
    friend class TransferEngine;
    friend class MultiTransport;

 public:
    using SegmentID = uint64_t;
    using SegmentHandle = SegmentID;
    using FileBufferID = TransferMetadata::FileBufferID;
    using BatchID = uint64_t;
    const static BatchID INVALID_BATCH_ID = UINT64_MAX;
    using BufferDesc = TransferMetadata::BufferDesc;
    using SegmentDesc = TransferMetadata::SegmentDesc;
    using HandShakeDesc = TransferMetadata::HandShakeDesc;
    using NotifyDesc = TransferMetadata::NotifyDesc;

    struct TransferRequest {
        enum OpCode { READ, WRITE };

        OpCode opcode;
        void* source;
        SegmentID target_id;
        uint64_t target_offset;
        size_t length;
        int advise_retry_cnt = 0;
        FileBufferID file_id;
    };

    enum TransferStatusEnum { WAITING, PENDING, INVALID, CANCELED, COMPLETED, TIMEOUT, FAILED };

    struct TransferStatus {
        TransferStatusEnum s;
        size_t transferred_bytes;
    };

    struct TransferTask;

    struct Slice {
        enum SliceStatus { PENDING, POSTED, SUCCESS, TIMEOUT, FAILED };

        void* source_addr;
        size_t length;
        TransferRequest::OpCode opcode;
        SegmentID target_id;
        std::string peer_nic_path;
        SliceStatus status;
        TransferTask* task;
        bool from_cache;
        FileBufferID file_id;
        union {
            struct {
                uint64_t dest_addr;
                volatile int* qp_depth;
            } rdma;
#ifdef USE_NVMEOF_GENERIC
            struct {
                uint64_t offset;
                struct iocb iocb;
            } nvmeof_generic;
#endif
        };

        void markSuccess() {
            status = Slice::SUCCESS;
            __sync_fetch_and_add(&task->transferred_bytes, length);
            __sync_fetch_and_add(&task->success_slice_count, 1);
        }
        void markFailed() {
            status = Slice::FAILED;
            __sync_fetch_and_add(&task->failed_slice_count, 1);
        }

        volatile int64_t ts;
    };

    struct ThreadLocalSliceCache {
        Slice* allocate() { return new Slice(); }
        void deallocate(Slice* slice) { delete slice; }
    };

    struct TransferTask {
        volatile uint64_t slice_count = 0;
        volatile uint64_t success_slice_count = 0;
        volatile uint64_t failed_slice_count = 0;
        volatile uint64_t transferred_bytes = 0;
        volatile bool is_finished = false;
        uint64_t total_bytes = 0;
        BatchID batch_id = 0;
        const TransferRequest* request = nullptr;
        std::vector<Slice*> slice_list;

        ~TransferTask() {
            for (auto& slice : slice_list) Transport::getSliceCache().deallocate(slice);
        }
    };

    struct BatchDesc {
        BatchID id;
        size_t batch_size;
        std::vector<TransferTask> task_list;
        void* context;
        int64_t start_timestamp;
    };

    virtual ~Transport() {}
    virtual BatchID allocateBatchID(size_t batch_size);
    virtual Status freeBatchID(BatchID batch_id);
    virtual Status submitTransfer(BatchID batch_id,
                                  const std::vector<TransferRequest>& entries) = 0;
    virtual Status submitTransferTask(const std::vector<TransferTask*>&) {
        return Status::NotImplemented("no tasks");
    }
    virtual Status getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status) = 0;

    std::shared_ptr<TransferMetadata>& meta() {
        return metadata_;
    }

    struct BufferEntry {
        void* addr;
        size_t length;
    };

 protected:
    virtual int install(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                        std::shared_ptr<Topology> topo);
    virtual int installWithArgs(std::string& local_server_name,
                                std::shared_ptr<TransferMetadata> meta, void** args);

    std::string local_server_name_;
    std::shared_ptr<TransferMetadata> metadata_;
    RWSpinlock batch_desc_lock_;
    std::unordered_map<BatchID, std::shared_ptr<BatchDesc>> batch_desc_set_;

    static ThreadLocalSliceCache& getSliceCache();

 private:
    virtual int registerLocalMemory(void* addr, size_t length, const std::string& location,
                                    bool remote_accessible, bool update_metadata = true) = 0;
    virtual int unregisterLocalMemory(void* addr, bool update_metadata = true) = 0;
    virtual int registerLocalMemoryBatch(const std::vector<BufferEntry>& buffer_list,
                                         const std::string& location) = 0;
    virtual int unregisterLocalMemoryBatch(const std::vector<void*>& addr_list) = 0;
    virtual bool supportFileBuffer() {
        return false;
    }
    virtual int registerLocalFile(FileBufferID, const std::string&, size_t) {
        return ERR_NOT_IMPLEMENTED;
    }
    virtual int unregisterLocalFile(FileBufferID) {
        return ERR_NOT_IMPLEMENTED;
    }
    virtual const char* getName() const = 0;
};

}  // namespace mooncake
