// SPDX-License-Identifier: Apache-2.0
#include "fake_api.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mooncake::bench {
namespace {

bool isUnderWay(const TransferStatus& status) {
    return status.s == TransferStatusEnum::WAITING;
}

}  // namespace

FakeApi::FakeApi(const std::vector<uint64_t>& sizes) {
    for (size_t i = 0; i < sizes.size(); ++i) {
        files[static_cast<FileBufferID>(i + 1)].resize(sizes[i]);
    }
}

int FakeApi::registerLocalMemory(void* address, size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (registrations-- <= 0) return ERR_MEMORY;
    memory[static_cast<char*>(address)] = bytes;
    return 0;
}

int FakeApi::unregisterLocalMemory(void* address) {
    const std::lock_guard lock(mutex_);
    if (memory.erase(static_cast<char*>(address)) == 0) protests.insert("unknown memory");
    return 0;
}

BatchID FakeApi::allocateBatchID(size_t requests) {
    const std::lock_guard lock(mutex_);
    batches_[nextBatch_].capacity = requests;
    ++liveBatches;
    return nextBatch_++;
}

Status FakeApi::submitTransfer(BatchID id, const std::vector<TransferRequest>& requests) {
    const std::lock_guard lock(mutex_);
    if (!refusal.ok()) return refusal;
    Batch& batch = batches_.at(id);
    if (requests.size() + batch.tasks.size() > batch.capacity) protests.insert("batch too small");
    batchSizes.push_back(requests.size());
    ++calls;
    std::set<std::pair<FileBufferID, uint64_t>> places;
    for (const TransferRequest& request : requests) {
        auto* source = static_cast<char*>(request.source);
        const auto area = memory.upper_bound(source);
        if (area == memory.begin() ||
            source + request.length > std::prev(area)->first + std::prev(area)->second) {
            protests.insert("buffer not registered");
        }
        if (request.target_id != kSegment) protests.insert("wrong segment");
        if (request.target_offset + request.length > files.at(request.file_id).size()) {
            protests.insert("beyond the file");
        }
        if (!places.insert({request.file_id, request.target_offset}).second) {
            protests.insert("block twice in a batch");
        }
        Task task{request,
                  fate ? fate(request) : Fate::kComplete,
                  polls,
                  {TransferStatusEnum::WAITING, 0}};
        batch.tasks.push_back(task);
    }
    return Status::OK();
}

void FakeApi::move(const Task& task) {
    const TransferRequest& request = task.request;
    FileBufferID file = request.file_id;
    uint64_t offset = request.target_offset;
    if (task.fate == Fate::kWrongFile) file = file == 1 ? 2 : 1;
    std::vector<char>& data = files.at(file);
    if (task.fate == Fate::kMisplace) offset -= request.length;
    auto* memoryAt = static_cast<char*>(request.source);
    for (uint64_t at = 0; at < request.length; at += 4096) {
        const uint64_t whole = std::min<uint64_t>(4096, request.length - at);
        const uint64_t bytes = task.fate == Fate::kTear ? whole / 2 : whole;
        if (request.opcode == TransferRequest::WRITE) {
            std::memcpy(data.data() + offset + at, memoryAt + at, bytes);
        } else {
            std::memcpy(memoryAt + at, data.data() + offset + at, bytes);
        }
    }
}

void FakeApi::advance(Task& task) {
    if (!isUnderWay(task.status) || task.fate == Fate::kHang || task.pollsLeft-- > 0) return;
    task.status = {TransferStatusEnum::COMPLETED, task.request.length};
    switch (task.fate) {
        case Fate::kFail:
            task.status = {TransferStatusEnum::FAILED, 0};
            break;
        case Fate::kTimeout:
            task.status = {TransferStatusEnum::TIMEOUT, 0};
            break;
        case Fate::kShort:
            task.status.transferred_bytes /= 2;
            break;
        case Fate::kNothing:
            break;
        default:
            move(task);
    }
}

Status FakeApi::getTransferStatus(BatchID id, size_t index, TransferStatus& status) {
    const std::lock_guard lock(mutex_);
    Batch& batch = batches_.at(id);
    if (index >= batch.tasks.size()) return Status::InvalidArgument("no such task");
    advance(batch.tasks[index]);
    status = batch.tasks[index].status;
    return Status::OK();
}

Status FakeApi::getBatchTransferStatus(BatchID id, TransferStatus& status) {
    const std::lock_guard lock(mutex_);
    bool waiting = false, failed = false;
    status = {TransferStatusEnum::COMPLETED, 0};
    for (Task& task : batches_.at(id).tasks) {
        advance(task);
        waiting |= isUnderWay(task.status);
        failed |= task.status.s == TransferStatusEnum::FAILED;
        if (failed && failsEarly) {
            status.s = TransferStatusEnum::FAILED;
            return Status::OK();
        }
        // Like Mooncake's, which knows no other end of a task here.
        waiting |= task.status.s == TransferStatusEnum::TIMEOUT;
        status.transferred_bytes += task.status.transferred_bytes;
    }
    if (waiting) {
        status.s = TransferStatusEnum::WAITING;
    } else if (failed) {
        status.s = TransferStatusEnum::FAILED;
    }
    return Status::OK();
}

Status FakeApi::freeBatchID(BatchID id) {
    const std::lock_guard lock(mutex_);
    for (const Task& task : batches_.at(id).tasks) {
        if (isUnderWay(task.status) || task.status.s == TransferStatusEnum::TIMEOUT) {
            return Status::BatchBusy("unfinished");
        }
    }
    batches_.erase(id);
    --liveBatches;
    return Status::OK();
}

}  // namespace mooncake::bench
