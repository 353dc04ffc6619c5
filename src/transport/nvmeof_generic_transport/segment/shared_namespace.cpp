// SPDX-License-Identifier: Apache-2.0
#include "shared_namespace.h"

#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include "write_guards.h"

namespace mooncake::nvmeof_generic {
namespace {

using State = NamespaceState;

constexpr bool mayFollow(State from, State to) {
    switch (to) {
        case State::kClosed:
            return from == State::kOpening || from == State::kClosing;
        case State::kOpening:
            return from == State::kClosed;
        case State::kOpen:
            return from == State::kOpening || from == State::kSuspect;
        case State::kSuspect:
            return from == State::kOpen;
        case State::kClosing:
            return from == State::kOpen || from == State::kSuspect;
    }
    return false;
}

/// Passes on what the pool says of one opening, which it keeps alive until the last word.
class Listener : public IoListener {
 public:
    Listener(std::shared_ptr<SharedNamespace> from, NamespaceClient& client)
        : from_(std::move(from)), client_(client) {}
    void onIoDone(void* context, int error, uint64_t bytes) noexcept override {
        client_.onIoDone(*from_, context, error, bytes);
    }
    void onIoReturned(const IoRequest& request) noexcept override { client_.onIoReturned(request); }

 private:
    const std::shared_ptr<SharedNamespace> from_;
    NamespaceClient& client_;
};

}  // namespace

void SharedNamespace::moveTo(State next) {
    assert(mayFollow(state_, next));
    state_ = next;
}

NamespaceState SharedNamespace::state() const {
    const MutexLock lock(mutex_);
    return state_;
}

void SharedNamespace::attach() {
    const MutexLock lock(mutex_);
    ++users_;
}

void SharedNamespace::detach() {
    {
        const MutexLock lock(mutex_);
        assert(users_ > 0);
        if (--users_ != 0) return;
    }
    close();
}

bool SharedNamespace::beginOpening() {
    if (!finishClosing()) return false;
    const MutexLock lock(mutex_);
    if (state_ != State::kClosed) return false;
    moveTo(State::kOpening);
    return true;
}

void SharedNamespace::notOpened() {
    const MutexLock lock(mutex_);
    moveTo(State::kClosed);
}

Result<> SharedNamespace::open(std::shared_ptr<Connection> connection, RemoteNamespace device,
                               const OpenedAs& as, NamespaceClient& client) {
    const uint64_t size = device.size;
    const uint32_t blockSize = device.blockSize;
    const bool readOnly = device.readOnly;
    std::shared_ptr<IoDevice> taken;
    Error failure{0, {}};
    try {
        auto added = pool_.addDevice(
            {std::move(device.fd), as.name + " (" + device.deviceName + ")", size, blockSize,
             std::make_shared<Listener>(shared_from_this(), client), writeGuardOf(key_),
             as.copyWrites && !device.local, connection->lossWithCopies()});
        if (added.ok()) {
            taken = added.take();
            auto opening = std::make_unique<Opening>(taken, blockSize, readOnly);
            const MutexLock lock(mutex_);
            if (!withdrawn_) {
                device_ = std::move(taken);
                connection_ = std::move(connection);
                size_ = size;
                current_ = std::move(opening);
                moveTo(State::kOpen);
                visible_ = current_.get();
                return {};
            }
            failure = {ENXIO, "it was withdrawn meanwhile"};
        } else {
            failure = added.error();
        }
    } catch (const std::bad_alloc&) {
        failure = {ENOMEM, "there is no memory to open it"};
    }
    if (taken) pool_.closeDevice(taken);
    notOpened();
    return failure;
}

bool SharedNamespace::suspect() noexcept {
    const MutexLock lock(mutex_);
    if (state_ == State::kOpen) {
        moveTo(State::kSuspect);
        visible_ = nullptr;
    }
    return state_ == State::kSuspect;
}

void SharedNamespace::lookAgain(Initiator& initiator) {
    std::shared_ptr<IoDevice> looked;
    std::shared_ptr<Connection> connection;
    uint64_t size = 0;
    {
        const MutexLock lock(mutex_);
        if (state_ != State::kSuspect) return;
        looked = device_;
        connection = connection_;
        size = size_;
    }
    const auto fd = looked->descriptor();
    bool there = false;
    if (fd) {
        const auto checked = initiator.checkNamespace(*connection, key_.nsid, size, *fd);
        // What cannot be seen just now, as for want of descriptors, is no proof.
        there = checked.ok() || (checked.error().code != ENXIO && checked.error().code != ESTALE);
    }
    {
        const MutexLock lock(mutex_);
        if (state_ != State::kSuspect || device_ != looked) return;
        if (there) {
            moveTo(State::kOpen);
            visible_ = current_.get();
            return;
        }
        static_cast<void>(beginClosing());
    }
    pool_.closeDevice(looked);
}

// The caller closes what it gets, without the lock.
std::shared_ptr<IoDevice> SharedNamespace::beginClosing() {
    if (state_ != State::kOpen && state_ != State::kSuspect) return nullptr;
    moveTo(State::kClosing);
    visible_ = nullptr;
    retired_.add(std::move(current_));
    return device_;
}

void SharedNamespace::close() {
    std::shared_ptr<IoDevice> closing;
    {
        const MutexLock lock(mutex_);
        closing = beginClosing();
    }
    if (closing) pool_.closeDevice(closing);
}

void SharedNamespace::withdraw() {
    {
        const MutexLock lock(mutex_);
        withdrawn_ = true;
    }
    close();
}

bool SharedNamespace::isOf(const Connection& connection) const {
    const MutexLock lock(mutex_);
    return connection_.get() == &connection;
}

void SharedNamespace::closeIfOf(const Connection& connection) {
    if (isOf(connection)) close();
}

void SharedNamespace::closeUnlessOf(const Connection& connection) {
    if (!isOf(connection)) close();
}

bool SharedNamespace::finishClosing() {
    std::shared_ptr<IoDevice> device;
    std::shared_ptr<Connection> connection;
    {
        const MutexLock lock(mutex_);
        if (state_ != State::kClosing) return true;
        if (device_->activity().outstanding != 0) return false;
        moveTo(State::kClosed);
        device = std::move(device_);
        connection = std::move(connection_);
    }
    // In this order: the device goes before its connection.
    device.reset();
    connection.reset();
    return true;
}

std::shared_ptr<IoDevice> SharedNamespace::device() const {
    const MutexLock lock(mutex_);
    return device_;
}

IoDevice::Activity SharedNamespace::activity() const {
    const auto known = device();
    return known ? known->activity() : IoDevice::Activity{0, 0};
}

IoDevice::Sample SharedNamespace::sample(std::chrono::steady_clock::time_point now) {
    const auto known = device();
    return known ? known->sample(now) : IoDevice::Sample{};
}

std::shared_ptr<const UniqueFd> SharedNamespace::descriptor() const {
    const MutexLock lock(mutex_);
    return current_ ? device_->descriptor() : nullptr;
}

}  // namespace mooncake::nvmeof_generic
