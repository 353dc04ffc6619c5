// SPDX-License-Identifier: Apache-2.0
// Requests of the engine on their way to the segments, and what it may ask of them.
#include <glog/logging.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <utility>

#include "engine_error.h"
#include "transport_parts.h"

namespace mooncake {

using namespace nvmeof_generic;

namespace {

constexpr char kInherited[] =
    "the transport belongs to the process that this one was forked off; a forked child makes an "
    "engine of its own";

// Engines differ in how they declare a task's and a slice's fields: atomic, plain, or volatile.
template <class T, class V>
void set(std::atomic<T>& field, V value) {
    field.store(value, std::memory_order_relaxed);
}
template <class T, class V>
void set(T& field, V value) {
    field = value;
}

// As a number: a program may give any, and an enumeration may not hold it.
int opcodeOf(const Transport::TransferRequest& request) {
    int number = 0;
    static_assert(sizeof(number) == sizeof(request.opcode));
    std::memcpy(&number, &request.opcode, sizeof(number));
    return number;
}

}  // namespace

Status NVMeoFGenericTransport::submitTransfer(BatchID batch_id,
                                              const std::vector<TransferRequest>& entries) {
    if (inherited()) return Status::InvalidArgument(kInherited);
    auto& batch = *reinterpret_cast<BatchDesc*>(batch_id);
    const size_t first = batch.task_list.size();
    if (first + entries.size() > batch.batch_size) {
        return Status::TooManyRequests(
            "the batch was made for " + std::to_string(batch.batch_size) + " tasks, has " +
            std::to_string(first) + " and got " + std::to_string(entries.size()) + " more");
    }
    std::vector<TransferTask*> tasks;
    try {
        tasks.reserve(entries.size());
        batch.task_list.resize(first + entries.size());
    } catch (const std::bad_alloc&) {
        return Status::Memory("no memory for " + std::to_string(entries.size()) + " tasks");
    }
    for (size_t i = 0; i < entries.size(); ++i) {
        TransferTask& task = batch.task_list[first + i];
        task.batch_id = batch_id;
        task.request = &entries[i];
        tasks.push_back(&task);
    }
    Status status = submitTransferTask(tasks);
    if (!status.ok()) batch.task_list.resize(first);
    return status;
}

// The one slice of a task. Throws std::bad_alloc; the task is as it was then.
void NVMeoFGenericTransport::addSlice(TransferTask& task, int64_t posted) {
    const TransferRequest& request = *task.request;
    task.slice_list.reserve(1);
    Slice* slice = getSliceCache().allocate();
    slice->source_addr = request.source;
    slice->length = request.length;
    // As it is: whether it is one is looked at later.
    std::memcpy(&slice->opcode, &request.opcode, sizeof(slice->opcode));
    slice->target_id = request.target_id;
    slice->file_id = request.file_id;
    slice->task = &task;
    set(slice->status, Slice::PENDING);
    set(slice->ts, posted);
    task.slice_list.push_back(slice);
    task.total_bytes = request.length;
}

Status NVMeoFGenericTransport::submitTransferTask(const std::vector<TransferTask*>& task_list) {
    if (!parts_) return Status::InvalidArgument("the nvmeof_generic transport is not installed");
    if (inherited()) return Status::InvalidArgument(kInherited);
    // All that takes memory comes before the first request is on its way: a call that fails has
    // started nothing.
    size_t made = 0;
    try {
        const int64_t posted = sliceClock();
        for (TransferTask* task : task_list) {
            if (parts_->segments) parts_->segments->prepare(task->request->target_id);
            addSlice(*task, posted);
            ++made;
        }
    } catch (const std::exception& error) {
        for (size_t i = 0; i < made; ++i) {
            TransferTask& task = *task_list[i];
            getSliceCache().deallocate(task.slice_list.back());
            task.slice_list.pop_back();
        }
        return Status::Memory(std::string("nothing was submitted: ") + error.what());
    }

    std::array<RemoteSegments::Request, 256> window;
    size_t count = 0;
    const auto send = [&] { parts_->segments->submit(window.data(), std::exchange(count, 0)); };
    for (TransferTask* task : task_list) {
        const TransferRequest& request = *task->request;
        Slice* const slice = task->slice_list.back();
        // Counted before it can end: a task with as many ended slices as it has is finished.
        set(task->slice_count, 1);
        const int opcode = opcodeOf(request);
        const bool read = opcode == TransferRequest::READ;
        if (!read && opcode != TransferRequest::WRITE) {
            endSlice(slice, EINVAL);
        } else if (!parts_->segments) {
            LOG_EVERY_T(ERROR, 10)
                << kProtocol << ": this node cannot read or write files: " << parts_->noInitiator;
            endSlice(slice, ENODEV);
        } else {
            window[count++] = {request.target_id,
                               request.file_id,
                               request.advise_retry_cnt,
                               {read ? IoOp::kRead : IoOp::kWrite, request.source,
                                request.target_offset, request.length, slice}};
            if (count == window.size()) send();
        }
    }
    if (count != 0) send();
    return Status::OK();
}

Status NVMeoFGenericTransport::getTransferStatus(BatchID batch_id, size_t task_id,
                                                 TransferStatus& status) {
    if (inherited()) return Status::InvalidArgument(kInherited);
    auto& batch = *reinterpret_cast<BatchDesc*>(batch_id);
    if (task_id >= batch.task_list.size()) {
        return Status::InvalidArgument("the batch has " + std::to_string(batch.task_list.size()) +
                                       " tasks, so task " + std::to_string(task_id) +
                                       " is not one of them");
    }
    TransferTask& task = batch.task_list[task_id];
    const uint64_t failed = task.failed_slice_count;
    const uint64_t succeeded = task.success_slice_count;
    status.transferred_bytes = task.transferred_bytes;
    if (failed + succeeded < task.slice_count || task.slice_count == 0) {
        status.s = WAITING;
    } else {
        status.s = failed == 0 ? COMPLETED : FAILED;
        task.is_finished = true;
    }
    return Status::OK();
}

}  // namespace mooncake
