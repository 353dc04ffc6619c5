// SPDX-License-Identifier: Apache-2.0
#include "transport_table.h"

#include <utility>

namespace mooncake {

namespace {

constexpr size_t kFewestPlaces = 16;

}  // namespace

void TransportTable::Snapshot::add(const Route& route) {
    if (2 * (used_ + 1) > routes_.size()) {
        decltype(routes_) before(2 * routes_.size());
        before.swap(routes_);
        used_ = 0;
        for (const Route& old : before) {
            if (old.transport != nullptr) add(old);
        }
    }
    size_t place = placeOf(route.segment);
    while (routes_[place].transport != nullptr) place = (place + 1) & (routes_.size() - 1);
    routes_[place] = route;
    ++used_;
}

TransportTable::TransportTable(std::shared_ptr<TransferMetadata> metadata)
    : metadata_(std::move(metadata)) {
    publish(next(false));
}

TransportTable::~TransportTable() = default;

// What is to be published next. With mutex_ held.
std::unique_ptr<TransportTable::Snapshot> TransportTable::next(bool with_routes) const {
    std::unique_ptr<Snapshot> snapshot(new Snapshot(kFewestPlaces));
    // Before any descriptor is read: one that changes meanwhile outdates the snapshot.
    snapshot->version_ = metadata_->routeVersion();
    for (const auto& [proto, transport] : transports_) {
        if (auto* const source = dynamic_cast<ProgressSource*>(transport.get())) {
            snapshot->sources_.push_back(source);
        } else {
            snapshot->blind_ = true;
        }
    }
    if (with_routes && snapshot->version_ == current_->version_) {
        snapshot->routes_ = current_->routes_;
        snapshot->used_ = current_->used_;
    }
    return snapshot;
}

// With mutex_ held, but for the first.
void TransportTable::publish(std::unique_ptr<Snapshot> snapshot) noexcept {
    published_.store(snapshot.get(), std::memory_order_seq_cst);
    domain_.retire(std::exchange(current_, std::move(snapshot)));
}

Transport* TransportTable::lookUp(Transport::SegmentID segment, Status* status) {
    std::lock_guard lock(mutex_);
    if (current_->version_ == metadata_->routeVersion()) {
        // Another thread may have been faster.
        if (Transport* const transport = current_->find(segment)) return transport;
    }
    std::unique_ptr<Snapshot> snapshot = next(true);
    const auto desc = metadata_->getSegmentDescByID(segment);
    if (!desc) {
        *status =
            Status::InvalidArgument("segment " + std::to_string(segment) + ", which is not open");
        return nullptr;
    }
    const auto found = transports_.find(desc->protocol);
    if (found == transports_.end()) {
        *status =
            Status::NotSupportedTransport("segment '" + desc->name + "' needs the transport '" +
                                          desc->protocol + "', which is not installed");
        return nullptr;
    }
    snapshot->add({segment, found->second.get()});
    publish(std::move(snapshot));
    return found->second.get();
}

void TransportTable::add(const std::string& proto, std::shared_ptr<Transport> transport) {
    std::lock_guard lock(mutex_);
    transports_.emplace(proto, std::move(transport));
    try {
        publish(next(true));
    } catch (...) {
        transports_.erase(proto);
        throw;
    }
}

std::shared_ptr<Transport> TransportTable::remove(const std::string& proto) {
    std::shared_ptr<Transport> transport;
    {
        std::lock_guard lock(mutex_);
        auto node = transports_.extract(proto);
        if (node.empty()) return nullptr;
        try {
            publish(next(false));
        } catch (...) {
            transports_.insert(std::move(node));
            throw;
        }
        transport = std::move(node.mapped());
    }
    domain_.synchronize();
    domain_.collect();
    return transport;
}

Transport* TransportTable::get(const std::string& proto) const {
    std::lock_guard lock(mutex_);
    const auto found = transports_.find(proto);
    return found == transports_.end() ? nullptr : found->second.get();
}

std::vector<Transport*> TransportTable::list() const {
    std::lock_guard lock(mutex_);
    std::vector<Transport*> list;
    for (const auto& [proto, transport] : transports_) list.push_back(transport.get());
    return list;
}

std::string TransportTable::anyProtocol() const {
    std::lock_guard lock(mutex_);
    return transports_.empty() ? std::string() : transports_.begin()->first;
}

}  // namespace mooncake
