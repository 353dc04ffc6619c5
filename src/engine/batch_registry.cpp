// SPDX-License-Identifier: Apache-2.0
#include "batch_registry.h"

#include <new>
#include <string>

#include "batch_poll.h"

namespace mooncake {

BatchRegistry::~BatchRegistry() {
    size_t left = 0;
    for (Shard& shard : shards_) {
        for (const Transport::BatchID id : shard.ids) delete batchOf(id);
        left += shard.ids.size();
    }
    LOG_IF(WARNING, left != 0) << left << " batches were never freed with freeBatchID";
}

Transport::BatchID BatchRegistry::add(std::unique_ptr<Batch> batch) {
    const auto address =
        reinterpret_cast<Transport::BatchID>(static_cast<Transport::BatchDesc*>(batch.get()));
    // Never so on the platforms there are.
    if ((address & ~kAddressMask) != 0) throw std::bad_alloc();
    const uint64_t generation = generation_.fetch_add(1, std::memory_order_relaxed) % kGenerations;
    const Transport::BatchID id = address | generation << kAddressBits;
    batch->id = id;
    Shard& shard = shardOf(id);
    std::unique_lock lock(shard.mutex);
    shard.ids.insert(id);
    batch.release();
    return id;
}

BatchRegistry::Pin BatchRegistry::pin(Transport::BatchID id) {
    Batch* pinned = nullptr;
    with(id, [&](Batch& batch) {
        batch.submissions.fetch_add(1, std::memory_order_relaxed);
        pinned = &batch;
    });
    return Pin(pinned);
}

Status BatchRegistry::remove(Transport::BatchID id) {
    std::unique_ptr<Batch> freed;
    Shard& shard = shardOf(id);
    {
        std::unique_lock lock(shard.mutex);
        if (shard.ids.count(id) == 0) {
            return Status::InvalidArgument("there is no batch " + std::to_string(id) +
                                           "; was it freed before?");
        }
        Batch* batch = batchOf(id);
        if (batch->submissions.load(std::memory_order_acquire) != 0) {
            return Status::BatchBusy("a submission to the batch is under way");
        }
        const size_t count = batch->task_count.load(std::memory_order_acquire);
        for (size_t i = 0; i < count; ++i) {
            if (!taskEnded(batch->tasks[i])) {
                return Status::BatchBusy("task " + std::to_string(i) +
                                         " of the batch is unfinished");
            }
        }
        shard.ids.erase(id);
        freed.reset(batch);
    }
    return Status::OK();
}

}  // namespace mooncake
