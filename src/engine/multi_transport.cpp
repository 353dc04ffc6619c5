// SPDX-License-Identifier: Apache-2.0
#include "multi_transport.h"

#include <algorithm>
#include <exception>
#include <new>
#include <thread>
#include <utility>

#include "batch_poll.h"
#include "batch_registry.h"
#include "plugin_loader.h"
#include "request_groups.h"
#include "transport_table.h"

namespace mooncake {

namespace {

// A thread that waits keeps a transport from being uninstalled.
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::milliseconds(10);

// Where something may end of which nobody is told.
constexpr std::chrono::nanoseconds kLongestBlindWait = std::chrono::microseconds(100);

Status noSuchBatch(Transport::BatchID batch_id) {
    return Status::InvalidArgument("there is no batch " + std::to_string(batch_id) +
                                   "; was it freed before?");
}

// Without a message, which takes memory.
Status noMemory() {
    return Status::Memory("");
}

// Ends the tasks that a transport did not take over: nobody else will.
void failUnaccepted(const std::vector<Transport::TransferTask*>& tasks) {
    for (Transport::TransferTask* task : tasks) {
        if (task->slice_count.load(std::memory_order_relaxed) != 0) continue;
        task->slice_count.store(1, std::memory_order_relaxed);
        task->failed_slice_count.fetch_add(1, std::memory_order_release);
    }
}

// Hands tasks that are visible already to their transport. Whatever it does, its status does not
// say that nothing has happened.
Status submitTo(Transport& transport, const std::vector<Transport::TransferTask*>& tasks) noexcept {
    Status status;
    try {
        try {
            status = transport.submitTransferTask(tasks);
            if (status.IsInvalidArgument() || status.IsTooManyRequests() ||
                status.IsNotSupportedTransport()) {
                status = Status::Context(status.message());
            }
        } catch (const std::bad_alloc&) {
            status = noMemory();
        } catch (const std::exception& e) {
            status = Status::Context(e.what());
        }
    } catch (...) {
        status = noMemory();
    }
    failUnaccepted(tasks);
    return status;
}

// Divides the requests of a call, all or none, and reserves what that takes.
Status divide(const TransportTable::Reader& transports,
              const std::vector<Transport::TransferRequest>& entries, RequestGroups* groups) {
    Transport* transport = nullptr;
    for (size_t i = 0; i < entries.size(); ++i) {
        if (i == 0 || entries[i].target_id != entries[i - 1].target_id) {
            Status status;
            transport = transports.find(entries[i].target_id, &status);
            if (transport == nullptr) {
                return Status(status.code(), "request " + std::to_string(i) + ": " +
                                                 std::string(status.message()));
            }
        }
        groups->add(transport);
    }
    groups->reserveTasks();
    return Status::OK();
}

}  // namespace

MultiTransport::MultiTransport(std::shared_ptr<TransferMetadata> metadata,
                               const std::string& local_server_name)
    : metadata_(std::move(metadata)),
      local_server_name_(local_server_name),
      batches_(std::make_unique<BatchRegistry>()),
      transports_(std::make_unique<TransportTable>(metadata_)) {}

MultiTransport::~MultiTransport() {
    shutdown();
}

MultiTransport::BatchID MultiTransport::allocateBatchID(size_t batch_size) {
    if (stopped_.load(std::memory_order_relaxed)) return INVALID_BATCH_ID;
    try {
        return batches_->add(batch_size);
    } catch (const std::exception& e) {
        LOG(ERROR) << "No batch of " << batch_size << " tasks: " << e.what();
        return INVALID_BATCH_ID;
    }
}

Status MultiTransport::freeBatchID(BatchID batch_id) {
    return batches_->remove(batch_id);
}

Status MultiTransport::submitTransfer(BatchID batch_id,
                                      const std::vector<TransferRequest>& entries) {
    const TransportTable::Reader transports(*transports_);
    if (!transports) return noMemory();
    try {
        // All that can fail comes before the first task is visible.
        RequestGroups groups;
        if (Status status = divide(transports, entries, &groups); !status.ok()) return status;
        BatchRegistry::Submission batch = batches_->submitTo(batch_id);
        if (!batch) return noSuchBatch(batch_id);
        const size_t left = batch->batch_size - batch->task_count;
        if (entries.size() > left) {
            return Status::TooManyRequests("the batch has " + std::to_string(batch->batch_size) +
                                           " tasks, " + std::to_string(batch->task_count) +
                                           " in use; " + std::to_string(entries.size()) +
                                           " more do not fit");
        }
        for (const TransferRequest& entry : entries) {
            Transport::TransferTask& task = batch->addTask();
            task.batch_id = batch_id;
            task.request = &entry;
            groups.addTask(&task);
        }
        batch.letGo();

        Status overall;
        for (RequestGroups::Group& group : groups) {
            Status status = submitTo(*group.transport, group.tasks);
            if (!status.ok()) overall = std::move(status);
        }
        return overall;
    } catch (const std::exception&) {
        return noMemory();
    }
}

Status MultiTransport::getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status) {
    bool exists = false;
    const auto ask = [&](Batch& batch) {
        exists = task_id < batch.task_count;
        if (exists) status = pollTask(batch.task_list[task_id]);
    };
    bool alive = batches_->with(batch_id, ask);
    if (exists && status.s == Transport::WAITING && progress()) {
        exists = false;
        alive = batches_->with(batch_id, ask);
    }
    if (exists) return Status::OK();
    if (!alive) return noSuchBatch(batch_id);
    return Status::InvalidArgument("the batch has no task " + std::to_string(task_id));
}

Status MultiTransport::getBatchTransferStatus(BatchID batch_id, TransferStatus& status) {
    const auto ask = [&](Batch& batch) {
        const bool all = batch.advance();
        status.transferred_bytes = batch.ended_bytes;
        status.s = !all                ? Transport::WAITING
                   : batch.ended_badly ? Transport::FAILED
                                       : Transport::COMPLETED;
    };
    bool alive = batches_->with(batch_id, ask);
    if (alive && status.s == Transport::WAITING && progress()) {
        alive = batches_->with(batch_id, ask);
    }
    return alive ? Status::OK() : noSuchBatch(batch_id);
}

bool MultiTransport::progress() {
    const TransportTable::Reader transports(*transports_);
    bool some = false;
    if (transports) {
        for (ProgressSource* source : transports->sources()) some = source->progress() || some;
    }
    return some;
}

bool MultiTransport::waitForProgress(std::chrono::nanoseconds limit) {
    {
        const TransportTable::Reader transports(*transports_);
        if (transports && !transports->sources().empty()) {
            const auto& sources = transports->sources();
            ProgressSource& first = *sources.front();
            if (sources.size() == 1 && !transports->hasBlind()) {
                return first.waitForProgress(std::min(limit, kLongestWait));
            }
            // The others tell nobody.
            bool some = false;
            for (size_t i = 1; i < sources.size(); ++i) some = sources[i]->progress() || some;
            const auto blind = some ? std::chrono::nanoseconds(0) : kLongestBlindWait;
            some = first.waitForProgress(std::min(limit, blind)) || some;
            return some || transports->hasBlind();
        }
    }
    std::this_thread::sleep_for(std::min(limit, kLongestBlindWait));
    return true;  // as far as is known
}

Transport* MultiTransport::installTransportWithArgs(const std::string& proto, void** args) {
    std::lock_guard installing(install_mutex_);
    if (Transport* const there = transports_->get(proto)) return there;
    std::shared_ptr<Transport> transport;
    const Status status = loadTransport(proto, defaultPluginPlaces(), &transport);
    if (!status.ok()) {
        LOG(ERROR) << "Transport is not installed: " << status.message();
        return nullptr;
    }
    Transport* const installed = transport.get();
    return install(proto, std::move(transport), args) == 0 ? installed : nullptr;
}

int MultiTransport::addTransport(const std::string& proto, std::shared_ptr<Transport> transport,
                                 void** args) {
    std::lock_guard installing(install_mutex_);
    if (!transport || transports_->get(proto) != nullptr) {
        LOG(ERROR) << "Transport " << proto << " is not installed: "
                   << (transport ? "there is one already" : "there is no instance");
        return ERR_INVALID_ARGUMENT;
    }
    return install(proto, std::move(transport), args);
}

// With install_mutex_ held.
int MultiTransport::install(const std::string& proto, std::shared_ptr<Transport> transport,
                            void** args) {
    if (stopped_) {
        LOG(ERROR) << "Transport " << proto << " is not installed: the engine has shut down";
        return ERR_INVALID_ARGUMENT;
    }
    const int rc = transport->installWithArgs(local_server_name_, metadata_, args);
    if (rc != 0) {
        LOG(ERROR) << "Transport " << proto << " is not installed: it failed with " << rc
                   << "; the cause is in the log above";
        return rc;
    }
    if (auto* const source = dynamic_cast<ProgressSource*>(transport.get())) {
        source->enableProgress();
    }
    transports_->add(proto, std::move(transport));
    return 0;
}

int MultiTransport::uninstallTransport(const std::string& proto) {
    std::lock_guard installing(install_mutex_);
    return uninstall(proto);
}

// With install_mutex_ held.
int MultiTransport::uninstall(const std::string& proto) {
    std::shared_ptr<Transport> transport = transports_->remove(proto);
    if (transport) return 0;
    LOG(ERROR) << "Transport " << proto << " is not uninstalled: it is not installed";
    return ERR_INVALID_ARGUMENT;
}

Transport* MultiTransport::getTransport(const std::string& proto) {
    return transports_->get(proto);
}

std::vector<Transport*> MultiTransport::listTransports() {
    return transports_->list();
}

void MultiTransport::shutdown() {
    std::lock_guard installing(install_mutex_);
    stopped_ = true;
    for (std::string proto = transports_->anyProtocol(); !proto.empty();
         proto = transports_->anyProtocol()) {
        uninstall(proto);
    }
}

}  // namespace mooncake
