// SPDX-License-Identifier: Apache-2.0
#include "multi_transport.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <unordered_map>
#include <utility>

#include "batch_poll.h"
#include "batch_registry.h"
#include "plugin_loader.h"

namespace mooncake {

namespace {

// A thread that waits keeps a transport from being destroyed.
constexpr std::chrono::nanoseconds kLongestWait = std::chrono::milliseconds(10);

// For transports that tell nobody when something ends.
constexpr std::chrono::nanoseconds kLongestBlindWait = std::chrono::microseconds(100);

Status noSuchBatch(Transport::BatchID batch_id) {
    return Status::InvalidArgument("there is no batch " + std::to_string(batch_id) +
                                   "; was it freed before?");
}

// Ends the tasks that a transport did not take over: nobody else will.
void failUnaccepted(const std::vector<Transport::TransferTask*>& tasks) {
    for (Transport::TransferTask* task : tasks) {
        if (task->slice_count.load(std::memory_order_relaxed) != 0) continue;
        task->slice_count.store(1, std::memory_order_relaxed);
        task->failed_slice_count.fetch_add(1, std::memory_order_release);
    }
}

}  // namespace

// The requests of one call that go to the same transport.
struct MultiTransport::Group {
    std::shared_ptr<Transport> transport;
    std::vector<size_t> requests;                 // places in the call
    std::vector<Transport::TransferTask*> tasks;  // theirs; as many
};

// The groups of one call. Their memory is the thread's, and serves its next call.
class MultiTransport::Grouping {
 public:
    Grouping() : groups_(std::move(spare())) {}
    ~Grouping() {
        size_t kept = 0;
        for (Group& group : *this) {
            group.transport.reset();
            kept += group.requests.capacity();
            group.requests.clear();
            group.tasks.clear();
        }
        if (kept <= kMostKept) spare() = std::move(groups_);
    }
    Grouping(const Grouping&) = delete;
    Grouping& operator=(const Grouping&) = delete;

    Group* begin() { return groups_.data(); }
    Group* end() { return groups_.data() + used_; }
    Group& operator[](size_t i) { return groups_[i]; }
    size_t size() const { return used_; }

    void add(std::shared_ptr<Transport> transport) {
        if (used_ == groups_.size()) groups_.emplace_back();
        groups_[used_++].transport = std::move(transport);
    }

 private:
    // Requests; beyond that the memory is given back.
    static constexpr size_t kMostKept = 4096;

    // Empty while a call uses it, should a transport submit in turn.
    static std::vector<Group>& spare() {
        thread_local std::vector<Group> groups;
        return groups;
    }

    std::vector<Group> groups_;
    size_t used_ = 0;
};

MultiTransport::MultiTransport(std::shared_ptr<TransferMetadata> metadata,
                               const std::string& local_server_name)
    : metadata_(std::move(metadata)),
      local_server_name_(local_server_name),
      batches_(std::make_unique<BatchRegistry>()) {}

MultiTransport::~MultiTransport() {
    shutdown();
}

MultiTransport::BatchID MultiTransport::allocateBatchID(size_t batch_size) {
    {
        std::shared_lock lock(mutex_);
        if (stopped_) return INVALID_BATCH_ID;
    }
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

Status MultiTransport::selectTransports(const std::vector<TransferRequest>& entries,
                                        Grouping& groups) const {
    // Most calls name one segment again and again, and many no other: for the first no table is
    // needed.
    std::unordered_map<Transport::SegmentID, size_t> group_of_segment;
    Transport::SegmentID last_segment = entries.front().target_id;
    size_t group = SIZE_MAX;
    for (size_t i = 0; i < entries.size(); ++i) {
        const Transport::SegmentID segment = entries[i].target_id;
        if (group == SIZE_MAX || segment != last_segment) {
            if (group != SIZE_MAX) group_of_segment.emplace(last_segment, group);
            last_segment = segment;
            auto known = group_of_segment.find(segment);
            if (known != group_of_segment.end()) {
                group = known->second;
            } else {
                const auto desc = metadata_->getSegmentDescByID(segment);
                if (!desc) {
                    return Status::InvalidArgument("request " + std::to_string(i) +
                                                   " names segment " + std::to_string(segment) +
                                                   ", which is not open");
                }
                std::shared_ptr<Transport> transport = transportOf(desc->protocol);
                if (!transport) {
                    return Status::NotSupportedTransport(
                        "segment '" + desc->name + "' needs the transport '" + desc->protocol +
                        "', which is not installed");
                }
                for (group = 0; group < groups.size(); ++group) {
                    if (groups[group].transport == transport) break;
                }
                if (group == groups.size()) {
                    groups.add(std::move(transport));
                    groups[group].requests.reserve(entries.size() - i);
                }
            }
        }
        groups[group].requests.push_back(i);
    }
    // Nothing may fail for want of memory once the tasks exist.
    for (Group& g : groups) g.tasks.resize(g.requests.size());
    return Status::OK();
}

Status MultiTransport::submitTransfer(BatchID batch_id,
                                      const std::vector<TransferRequest>& entries) {
    const BatchRegistry::Pin batch = batches_->pin(batch_id);
    if (!batch) return noSuchBatch(batch_id);
    if (entries.empty()) return Status::InvalidArgument("there are no requests to submit");
    Grouping groups;
    try {
        const Status status = selectTransports(entries, groups);
        if (!status.ok()) return status;
    } catch (const std::exception& e) {
        return Status::Memory(e.what());
    }

    {
        std::lock_guard lock(batch->growing);
        const size_t first = batch->task_count.load(std::memory_order_relaxed);
        if (entries.size() > batch->batch_size - first) {
            return Status::TooManyRequests("the batch has " + std::to_string(batch->batch_size) +
                                           " tasks, " + std::to_string(first) + " in use; " +
                                           std::to_string(entries.size()) + " more do not fit");
        }
        for (size_t i = 0; i < entries.size(); ++i) {
            Transport::TransferTask& task = batch->task(first + i);
            task.batch_id = batch_id;
            task.request = &entries[i];
        }
        for (Group& group : groups) {
            for (size_t i = 0; i < group.requests.size(); ++i) {
                group.tasks[i] = batch->tasks + first + group.requests[i];
            }
        }
        batch->task_count.store(first + entries.size(), std::memory_order_release);
    }

    Status overall;
    for (Group& group : groups) {
        Status status = group.transport->submitTransferTask(group.tasks);
        failUnaccepted(group.tasks);
        if (!status.ok()) overall = std::move(status);
    }
    return overall;
}

Status MultiTransport::getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status) {
    bool exists = false;
    const bool alive = batches_->with(batch_id, [&](Batch& batch) {
        exists = task_id < batch.task_count.load(std::memory_order_acquire);
        if (exists) status = pollTask(batch.tasks[task_id]);
    });
    if (!alive) return noSuchBatch(batch_id);
    if (exists && status.s == Transport::WAITING && progress()) {
        batches_->with(batch_id, [&](Batch& batch) { status = pollTask(batch.tasks[task_id]); });
    }
    if (!exists) {
        return Status::InvalidArgument("the batch has no task " + std::to_string(task_id));
    }
    return Status::OK();
}

Status MultiTransport::getBatchTransferStatus(BatchID batch_id, TransferStatus& status) {
    const auto ask = [&](Batch& batch) {
        const size_t count = batch.task_count.load(std::memory_order_acquire);
        bool waiting = false;
        bool failed = false;
        status.transferred_bytes = 0;
        for (size_t i = 0; i < count; ++i) {
            const TransferStatus task = pollTask(batch.tasks[i]);
            status.transferred_bytes += task.transferred_bytes;
            waiting = waiting || task.s == Transport::WAITING;
            failed = failed || task.s == Transport::FAILED;
        }
        status.s = waiting ? Transport::WAITING : failed ? Transport::FAILED : Transport::COMPLETED;
    };
    if (!batches_->with(batch_id, ask)) return noSuchBatch(batch_id);
    if (status.s == Transport::WAITING && progress()) batches_->with(batch_id, ask);
    return Status::OK();
}

MultiTransport::Sources MultiTransport::sources() const {
    Sources sources;
    std::shared_lock lock(mutex_);
    sources.only = sources_.size() <= 1;
    if (sources.only && !sources_.empty()) {
        sources.first = sources_.front();
    } else {
        sources.all = sources_;
    }
    return sources;
}

bool MultiTransport::progress() const {
    const Sources sources = this->sources();
    if (sources.only) return sources.first && sources.first->progress();
    bool some = false;
    for (const auto& source : sources.all) some = source->progress() || some;
    return some;
}

bool MultiTransport::waitForProgress(std::chrono::nanoseconds limit) {
    const Sources sources = this->sources();
    if (!sources.only) {
        if (progress()) return true;
        sources.all.front()->waitForProgress(std::min(limit, kLongestBlindWait));
    } else if (sources.first) {
        return sources.first->waitForProgress(std::min(limit, kLongestWait));
    } else {
        std::this_thread::sleep_for(std::min(limit, kLongestBlindWait));
    }
    return true;  // as far as is known
}

Transport* MultiTransport::installTransportWithArgs(const std::string& proto, void** args) {
    std::lock_guard installing(install_mutex_);
    if (std::shared_ptr<Transport> there = transportOf(proto)) return there.get();
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
    if (!transport || transportOf(proto)) {
        LOG(ERROR) << "Transport " << proto << " is not installed: "
                   << (transport ? "there is one already" : "there is no instance");
        return ERR_INVALID_ARGUMENT;
    }
    return install(proto, std::move(transport), args);
}

int MultiTransport::install(const std::string& proto, std::shared_ptr<Transport> transport,
                            void** args) {
    const int rc = transport->installWithArgs(local_server_name_, metadata_, args);
    if (rc != 0) {
        LOG(ERROR) << "Transport " << proto << " is not installed: it failed with " << rc
                   << "; the cause is in the log above";
        return rc;
    }
    // Submissions hold a reference. Whoever drops the last one destroys the instance, and uninstall
    // waits for that.
    std::promise<void> destroyed;
    Installed installed;
    installed.destroyed = destroyed.get_future();
    Transport* const instance = transport.get();
    installed.transport = std::shared_ptr<Transport>(
        instance, [owned = std::move(transport), done = std::make_shared<std::promise<void>>(
                                                     std::move(destroyed))](Transport*) mutable {
            owned.reset();
            done->set_value();
        });
    auto* const source = dynamic_cast<ProgressSource*>(instance);
    if (source != nullptr) source->enableProgress();
    std::unique_lock lock(mutex_);
    if (stopped_) {
        lock.unlock();
        LOG(ERROR) << "Transport " << proto << " is not installed: the engine has shut down";
        return ERR_INVALID_ARGUMENT;
    }
    if (source != nullptr) sources_.emplace_back(installed.transport, source);
    transports_.emplace(proto, std::move(installed));
    return 0;
}

int MultiTransport::uninstallTransport(const std::string& proto) {
    std::lock_guard installing(install_mutex_);
    return uninstall(proto);
}

int MultiTransport::uninstall(const std::string& proto) {
    Installed installed;
    {
        std::unique_lock lock(mutex_);
        auto found = transports_.find(proto);
        if (found == transports_.end()) {
            LOG(ERROR) << "Transport " << proto << " is not uninstalled: it is not installed";
            return ERR_INVALID_ARGUMENT;
        }
        installed = std::move(found->second);
        transports_.erase(found);
        std::erase_if(sources_, [&](const std::shared_ptr<ProgressSource>& source) {
            return !source.owner_before(installed.transport) &&
                   !installed.transport.owner_before(source);
        });
    }
    installed.transport.reset();
    installed.destroyed.wait();
    return 0;
}

std::shared_ptr<Transport> MultiTransport::transportOf(const std::string& proto) const {
    std::shared_lock lock(mutex_);
    auto found = transports_.find(proto);
    return found == transports_.end() ? nullptr : found->second.transport;
}

Transport* MultiTransport::getTransport(const std::string& proto) {
    return transportOf(proto).get();
}

std::vector<Transport*> MultiTransport::listTransports() {
    std::shared_lock lock(mutex_);
    std::vector<Transport*> transports;
    for (const auto& [proto, installed] : transports_) {
        transports.push_back(installed.transport.get());
    }
    return transports;
}

void MultiTransport::shutdown() {
    std::lock_guard installing(install_mutex_);
    for (;;) {
        std::string proto;
        {
            std::unique_lock lock(mutex_);
            stopped_ = true;
            if (transports_.empty()) return;
            proto = transports_.begin()->first;
        }
        uninstall(proto);
    }
}

}  // namespace mooncake
