// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

#include <glog/logging.h>

#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// What a host says of an address that it does not have, with RDMA of one without a device.
bool isMissing(const Error& error) {
    return error.code == EADDRNOTAVAIL || error.code == ENODEV;
}

}  // namespace

Result<std::unique_ptr<Ports>> Ports::acquire(const NvmetTree& tree,
                                              const TransportAddresses& addresses, Times times) {
    std::unique_ptr<Ports> made(new Ports(addresses, times));
    // Before anything is made: nothing stays behind for want of a thread.
    if (addresses.size() > 1) {
        auto started = startThread("nvmeof-ports", [ports = made.get()] { ports->addLate(); });
        if (!started.ok()) return started.error();
        made->late_ = started.take();
    }
    for (const TransportAddress& address : addresses) {
        auto port = Port::acquire(tree, address, times.limit);
        if (!port.ok()) return port.error();
        made->ports_.push_back(port.take());
    }
    return made;
}

Ports::~Ports() {
    {
        const std::lock_guard guard(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
    if (late_.joinable()) late_.join();
}

Result<> Ports::link(const std::string& subsystemNqn) {
    const std::lock_guard guard(mutex_);
    std::vector<Error> missing;
    Result<> result;
    for (const auto& port : ports_) {
        auto linked = port->link(subsystemNqn);
        if (linked.ok()) continue;
        if (isMissing(linked.error())) {
            missing.push_back(linked.error());
        } else if (result.ok()) {
            result = linked;
        }
    }
    if (missing.size() == ports_.size()) return missing.front();
    for (const Error& error : missing) {
        LOG(WARNING) << error.message << "; " << subsystemNqn
                     << " is served there as soon as the address is";
    }
    served_ = subsystemNqn;
    missing_ = !missing.empty();
    changed_.notify_all();
    return result;
}

Result<> Ports::relink(const std::string& subsystemNqn, std::set<const Port*>& toCut) {
    const std::lock_guard guard(mutex_);
    Result<> result;
    for (const auto& port : ports_) {
        if (!toCut.contains(port.get())) continue;
        auto changed = port->unlink();
        const bool cut = changed.ok();
        if (cut) changed = port->link(subsystemNqn);
        // Where an address has gone meanwhile there is nobody left to be cut off.
        const bool late = cut && !changed.ok() && isMissing(changed.error()) && late_.joinable();
        if (late) {
            LOG(WARNING) << changed.error().message << "; " << subsystemNqn
                         << " is served there again as soon as the address is";
            missing_ = true;
        }
        if (late || changed.ok()) {
            toCut.erase(port.get());
        } else if (result.ok()) {
            result = changed;
        }
    }
    changed_.notify_all();
    return result;
}

Result<> Ports::unlink() {
    const std::lock_guard guard(mutex_);
    missing_ = false;
    Result<> result;
    for (const auto& port : ports_) {
        if (auto cut = port->unlink(); !cut.ok() && result.ok()) result = cut;
    }
    return result;
}

void Ports::addLate() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
        if (!missing_) {
            changed_.wait(lock, [this] { return ended_ || missing_; });
            continue;
        }
        if (changed_.wait_for(lock, times_.interval, [this] { return ended_ || !missing_; })) {
            continue;
        }
        try {
            missing_ = !addMissing();
        } catch (const std::bad_alloc&) {
            // There may be some the next time.
        }
    }
}

// @return whether none is left
bool Ports::addMissing() {
    bool all = true;
    for (size_t i = 0; i < ports_.size(); ++i) {
        if (ports_[i]->isLinked()) continue;
        const auto linked = ports_[i]->link(served_);
        if (linked.ok()) {
            LOG(INFO) << "Serving subsystem " << served_ << " at " << toString(addresses_[i])
                      << ", too";
            continue;
        }
        all = false;
        if (!isMissing(linked.error())) {
            LOG_EVERY_T(ERROR, 60) << linked.error().message;
        }
    }
    return all;
}

}  // namespace mooncake::nvmeof_generic
