// SPDX-License-Identifier: Apache-2.0
// The batches that are alive. A BatchID comes from the program and may be anything: it is looked up
// here before it is taken for an address. Its lower 48 bits are the address of the BatchDesc, which
// is all of it in Mooncake's engine; above stands a number that differs when the same memory serves
// another batch, so that the id of a batch that was freed is not taken for its successor's.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_set>

#include "transport/transport.h"

namespace mooncake {

struct Batch : Transport::BatchDesc {
    // Throws std::bad_alloc or std::length_error for a capacity beyond memory.
    explicit Batch(size_t capacity) {
        batch_size = capacity;
        task_list.reserve(capacity);
        tasks = task_list.data();
        start_timestamp = getCurrentTimeInNano();
    }

    std::mutex growing;  // of task_list
    // The first task_count tasks may be polled. Raised with release once they are constructed;
    // task_list itself must not be asked, since it may be growing.
    std::atomic<size_t> task_count{0};
    Transport::TransferTask* tasks;
    std::atomic<uint32_t> submissions{0};  // under way
};

// Every function may be called from any thread.
class BatchRegistry {
 public:
    // Keeps a batch from being freed while requests are submitted to it.
    class Pin {
     public:
        Pin() = default;
        explicit Pin(Batch* batch) : batch_(batch) {}
        Pin(Pin&& other) noexcept : batch_(std::exchange(other.batch_, nullptr)) {}
        Pin& operator=(Pin&&) = delete;
        ~Pin() {
            // Release: what was done to the batch comes before its destruction.
            if (batch_ != nullptr) batch_->submissions.fetch_sub(1, std::memory_order_release);
        }
        explicit operator bool() const { return batch_ != nullptr; }
        Batch* operator->() const { return batch_; }
        Batch& operator*() const { return *batch_; }

     private:
        Batch* batch_ = nullptr;
    };

    BatchRegistry() = default;
    // Frees the batches that are left; no transport may still work on one.
    ~BatchRegistry();

    // Gives the batch its id.
    Transport::BatchID add(std::unique_ptr<Batch> batch);

    // An empty pin where the batch is not alive.
    Pin pin(Transport::BatchID id);

    // Calls use(Batch&) on a live batch and returns true; it cannot be freed meanwhile, so `use`
    // should be short.
    template <typename Use>
    bool with(Transport::BatchID id, const Use& use) {
        Shard& shard = shardOf(id);
        std::shared_lock lock(shard.mutex);
        if (shard.ids.count(id) == 0) return false;
        use(*batchOf(id));
        return true;
    }

    // InvalidArgument where the batch is not alive, BatchBusy while it is in use.
    Status remove(Transport::BatchID id);

 private:
    // Several, so that threads that poll their own batches seldom meet. 64: a cache line each.
    static constexpr size_t kShards = 16;
    struct alignas(64) Shard {
        std::shared_mutex mutex;
        std::unordered_set<Transport::BatchID> ids;
    };

    // Linux gives processes no addresses above these unless they ask for them.
    static constexpr int kAddressBits = 48;
    static constexpr Transport::BatchID kAddressMask = (Transport::BatchID{1} << kAddressBits) - 1;
    // The sign bit stays clear, for those who keep ids in signed numbers.
    static constexpr uint64_t kGenerations = uint64_t{1} << (63 - kAddressBits);

    static Batch* batchOf(Transport::BatchID id) {
        return static_cast<Batch*>(reinterpret_cast<Transport::BatchDesc*>(id & kAddressMask));
    }
    // Multiplied, because neighbours in memory differ in a few low bits only.
    Shard& shardOf(Transport::BatchID id) { return shards_[(id * 0x9e3779b97f4a7c15u) >> 60]; }

    std::array<Shard, kShards> shards_;
    // Relaxed: any two values that differ will do.
    std::atomic<uint64_t> generation_{0};
};

}  // namespace mooncake
