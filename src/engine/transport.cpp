// SPDX-License-Identifier: Apache-2.0
#include "transport/transport.h"

#include <exception>
#include <new>

#include "batch_poll.h"
#include "own_of_thread.h"

namespace mooncake {

namespace {

struct Tag;
using OwnSliceCache = OwnOfThread<Transport::ThreadLocalSliceCache, Tag>;

}  // namespace

Transport::ThreadLocalSliceCache::~ThreadLocalSliceCache() {
    for (Slice* slice : free_) delete slice;
}

Transport::Slice* Transport::ThreadLocalSliceCache::allocate() {
    if (free_.empty()) return new Slice();
    Slice* slice = free_.back();
    free_.pop_back();
    slice->~Slice();
    new (slice) Slice();
    slice->from_cache = true;
    return slice;
}

void Transport::ThreadLocalSliceCache::deallocate(Slice* slice) noexcept {
    try {
        if (free_.size() < capacity_) return free_.push_back(slice);
    } catch (const std::bad_alloc&) {
        // What cannot be kept is freed, like what is too much.
    }
    delete slice;
}

// A thread that has destroyed its cache uses one that keeps nothing, as all such threads do: a
// batch that a static object owns is submitted, or freed, after the main thread's caches are gone.
Transport::ThreadLocalSliceCache& Transport::getSliceCache() {
    if (ThreadLocalSliceCache* const cache = OwnSliceCache::get()) return *cache;
    // Not destroyed, since there is no last thread.
    alignas(ThreadLocalSliceCache) static char memory[sizeof(ThreadLocalSliceCache)];
    static ThreadLocalSliceCache* const heap = new (memory) ThreadLocalSliceCache(0);
    return *heap;
}

void Transport::releaseSlices(std::vector<Slice*>& slices) {
    ThreadLocalSliceCache& cache = getSliceCache();
    for (Slice* slice : slices) cache.deallocate(slice);
    slices.clear();
}

Transport::TransferTask::~TransferTask() {
    if (!slice_list.empty()) releaseSlices(slice_list);
}

void Transport::TransferTask::clear() noexcept {
    if (!slice_list.empty()) releaseSlices(slice_list);
    slice_count.store(0, std::memory_order_relaxed);
    success_slice_count.store(0, std::memory_order_relaxed);
    failed_slice_count.store(0, std::memory_order_relaxed);
    transferred_bytes.store(0, std::memory_order_relaxed);
    is_finished.store(false, std::memory_order_relaxed);
    total_bytes = 0;
    batch_id = 0;
    request = nullptr;
}

Transport::TransferTask::TransferTask(TransferTask&& other) noexcept
    : slice_count(other.slice_count.load(std::memory_order_relaxed)),
      success_slice_count(other.success_slice_count.load(std::memory_order_relaxed)),
      failed_slice_count(other.failed_slice_count.load(std::memory_order_relaxed)),
      transferred_bytes(other.transferred_bytes.load(std::memory_order_relaxed)),
      is_finished(other.is_finished.load(std::memory_order_relaxed)),
      total_bytes(other.total_bytes),
      batch_id(other.batch_id),
      request(other.request),
      slice_list(std::move(other.slice_list)) {
    other.slice_list.clear();
}

Transport::BatchID Transport::allocateBatchID(size_t batch_size) {
    try {
        auto batch = std::make_unique<BatchDesc>();
        batch->batch_size = batch_size;
        batch->task_list.reserve(batch_size);
        batch->start_timestamp = getCurrentTimeInNano();
        batch->id = reinterpret_cast<BatchID>(batch.get());
        return batch.release()->id;
    } catch (const std::exception& e) {
        LOG(ERROR) << "No batch of " << batch_size << " tasks: " << e.what();
        return INVALID_BATCH_ID;
    }
}

Status Transport::freeBatchID(BatchID batch_id) {
    auto* batch = reinterpret_cast<BatchDesc*>(batch_id);
    for (TransferTask& task : batch->task_list) {
        if (!taskEnded(task)) return Status::BatchBusy("a task of the batch is unfinished");
    }
    delete batch;
    return Status::OK();
}

int Transport::install(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                       std::shared_ptr<Topology> topo) {
    (void)topo;
    return installWithArgs(local_server_name, std::move(meta), nullptr);
}

int Transport::installWithArgs(std::string& local_server_name,
                               std::shared_ptr<TransferMetadata> meta, void** args) {
    (void)args;
    local_server_name_ = local_server_name;
    metadata_ = std::move(meta);
    return 0;
}

}  // namespace mooncake
