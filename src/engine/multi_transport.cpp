// SPDX-License-Identifier: Apache-2.0
#include "multi_transport.h"

#include <algorithm>
#include <exception>
#include <optional>
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
    size_t requests = 0;
    std::vector<Transport::TransferTask*> tasks;  // theirs
};

// How one call's requests are divided among transports. The memory is the thread's, and serves its
// next call.
class MultiTransport::Grouping {
 public:
    Grouping() : own_(spare()), memory_(own_.lent ? further_.emplace() : own_) { own_.lent = true; }
    ~Grouping() {
        size_t kept = memory_.group_of.capacity();
        for (Group& group : *this) {
            group.transport.reset();
            group.requests = 0;
            group.tasks.clear();
            kept += group.tasks.capacity();
        }
        memory_.group_of.clear();
        if (further_) return;
        own_.lent = false;
        if (kept > kMostKept) own_ = Memory();
    }
    Grouping(const Grouping&) = delete;
    Grouping& operator=(const Grouping&) = delete;

    Group* begin() { return memory_.groups.data(); }
    Group* end() { return memory_.groups.data() + used_; }

    // The group of a transport. @return its number
    size_t of(std::shared_ptr<Transport> transport) {
        size_t group = 0;
        while (group < used_ && memory_.groups[group].transport != transport) ++group;
        if (group < used_) return group;
        if (used_ == memory_.groups.size()) memory_.groups.emplace_back();
        memory_.groups[used_].transport = std::move(transport);
        return used_++;
    }
    // Puts the next request of the call into a group.
    void add(size_t group) {
        memory_.group_of.push_back(group);
        ++memory_.groups[group].requests;
    }
    // Afterwards addTask() needs no memory.
    void reserveTasks() {
        for (Group& group : *this) group.tasks.reserve(group.requests);
    }
    void addTask(size_t request, Transport::TransferTask& task) {
        memory_.groups[memory_.group_of[request]].tasks.push_back(&task);
    }

 private:
    struct Memory {
        std::vector<Group> groups;
        std::vector<size_t> group_of;  // each request
        bool lent = false;
    };
    // Requests; beyond that the memory is given back.
    static constexpr size_t kMostKept = 8192;

    static Memory& spare() {
        thread_local Memory memory;
        return memory;
    }

    Memory& own_;
    std::optional<Memory> further_;  // should a transport submit in turn
    Memory& memory_;
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

Status MultiTransport::selectTransports(const std::vector<TransferRequest>& entries,
                                        Grouping& groups) const {
    const auto group_of = [&](size_t i, size_t& group) {
        std::shared_ptr<Transport> transport;
        Status status = transportFor(entries[i].target_id, i, transport);
        if (status.ok()) group = groups.of(std::move(transport));
        return status;
    };
    // Most calls name one segment again and again, and many no other: for those, no table.
    std::optional<std::unordered_map<Transport::SegmentID, size_t>> known;
    size_t group = 0;
    if (Status status = group_of(0, group); !status.ok()) return status;
    groups.add(group);
    for (size_t i = 1; i < entries.size(); ++i) {
        if (entries[i].target_id != entries[i - 1].target_id) {
            if (!known) known.emplace();
            known->emplace(entries[i - 1].target_id, group);
            if (const auto found = known->find(entries[i].target_id); found != known->end()) {
                group = found->second;
            } else if (Status status = group_of(i, group); !status.ok()) {
                return status;
            }
        }
        groups.add(group);
    }
    // Nothing may fail for want of memory once the tasks exist.
    groups.reserveTasks();
    return Status::OK();
}

// Of the request with this place in the call.
Status MultiTransport::transportFor(Transport::SegmentID segment, size_t request,
                                    std::shared_ptr<Transport>& transport) const {
    const auto desc = metadata_->getSegmentDescByID(segment);
    if (!desc) {
        return Status::InvalidArgument("request " + std::to_string(request) + " names segment " +
                                       std::to_string(segment) + ", which is not open");
    }
    transport = transportOf(desc->protocol);
    if (transport) return Status::OK();
    return Status::NotSupportedTransport("segment '" + desc->name + "' needs the transport '" +
                                         desc->protocol + "', which is not installed");
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
            groups.addTask(i, task);
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
