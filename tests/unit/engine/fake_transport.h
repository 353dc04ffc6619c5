// SPDX-License-Identifier: Apache-2.0
// A transport without devices: it cuts tasks into slices and ends them as the test says.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "transport/transport.h"

namespace mooncake::test {

class FakeTransport : public Transport {
 public:
    struct Options {
        size_t slice_bytes = 4096;
        // Threads that end slices; 0: nobody does until endAll or the destructor.
        int threads = 2;
        // Whether a slice succeeds.
        std::function<bool(const Slice&)> succeeds = [](const Slice&) { return true; };
        // Called first by submitTransferTask; what is not OK is returned at once.
        std::function<Status(const std::vector<TransferTask*>&)> before_submit = [](const auto&) {
            return Status::OK();
        };
        // Called last by submitTransferTask, when slices may have ended already.
        std::function<void()> after_submit = [] {};
        std::function<void()> on_destroy = [] {};
        int install_result = 0;
    };

    explicit FakeTransport(Options options) : options_(std::move(options)) {
        for (int i = 0; i < options_.threads; ++i) {
            workers_.emplace_back([this] { work(); });
        }
    }

    ~FakeTransport() override {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& worker : workers_) worker.join();
        endAll(false);
        options_.on_destroy();
    }

    // Ends every slice that waits.
    void endAll(bool success) {
        for (;;) {
            Slice* slice = nullptr;
            {
                std::lock_guard lock(mutex_);
                if (waiting_.empty()) return;
                slice = waiting_.front();
                waiting_.pop_front();
            }
            success ? slice->markSuccess() : slice->markFailed();
        }
    }

    Status submitTransfer(BatchID, const std::vector<TransferRequest>&) override {
        return Status::NotImplemented("the engine does not call this");
    }

    Status submitTransferTask(const std::vector<TransferTask*>& tasks) override {
        Status status = options_.before_submit(tasks);
        if (!status.ok()) return status;
        std::vector<Slice*> slices;
        for (TransferTask* task : tasks) {
            const TransferRequest& request = *task->request;
            for (size_t at = 0; at < request.length; at += options_.slice_bytes) {
                Slice* slice = getSliceCache().allocate();
                slice->source_addr = static_cast<char*>(request.source) + at;
                slice->length = std::min(options_.slice_bytes, request.length - at);
                slice->opcode = request.opcode;
                slice->target_id = request.target_id;
                slice->file_id = request.file_id;
                slice->task = task;
                task->slice_list.push_back(slice);
                slices.push_back(slice);
            }
            task->total_bytes = request.length;
            task->slice_count = task->slice_list.size();
        }
        {
            std::lock_guard lock(mutex_);
            waiting_.insert(waiting_.end(), slices.begin(), slices.end());
        }
        changed_.notify_all();
        options_.after_submit();
        return Status::OK();
    }

    Status getTransferStatus(BatchID, size_t, TransferStatus&) override {
        return Status::NotImplemented("the engine does not call this");
    }

 protected:
    int installWithArgs(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                        void** args) override {
        if (options_.install_result != 0) return options_.install_result;
        return Transport::installWithArgs(local_server_name, std::move(meta), args);
    }

 private:
    int registerLocalMemory(void*, size_t, const std::string&, bool, bool) override { return 0; }
    int unregisterLocalMemory(void*, bool) override { return 0; }
    int registerLocalMemoryBatch(const std::vector<BufferEntry>&, const std::string&) override {
        return 0;
    }
    int unregisterLocalMemoryBatch(const std::vector<void*>&) override { return 0; }
    const char* getName() const override { return "fake"; }

    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            Slice* slice = waiting_.front();
            waiting_.pop_front();
            lock.unlock();
            // What a read would do: the poller must see it once the task is complete.
            if (slice->opcode == TransferRequest::READ) {
                std::memset(slice->source_addr, 0x5a, slice->length);
            }
            options_.succeeds(*slice) ? slice->markSuccess() : slice->markFailed();
            lock.lock();
        }
    }

    const Options options_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Slice*> waiting_;
    bool stopping_ = false;
    std::vector<std::thread> workers_;
};

}  // namespace mooncake::test
