// SPDX-License-Identifier: Apache-2.0
#include "local_access.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <utility>

#include "transport/nvmeof_generic_transport/common/endpoint.h"

namespace mooncake::nvmeof_generic {
namespace {

/// To this node's own target: nothing that could be lost, but for the network that some of its
/// files need all the same.
class LocalConnection final : public Connection {
 public:
    LocalConnection(TransportAddresses addresses, std::string nqn)
        : addresses_(std::move(addresses)), nqn_(std::move(nqn)) {}

    const std::string& subsystemNqn() const override { return nqn_; }
    bool isLive() const override {
        const auto network = this->network();
        return !network || network->isLive();
    }
    bool isReconnecting() const override {
        const auto network = this->network();
        return network && network->isReconnecting();
    }
    bool isOurs() const override {
        const auto network = this->network();
        return network && network->isOurs();
    }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>&) override {
        const auto network = this->network();
        return !network || network->provokeAnswer(nullptr);
    }
    std::shared_ptr<const PathBoard> paths() const override {
        const auto network = this->network();
        return network ? network->paths() : nullptr;
    }
    void giveUp() override {
        if (const auto network = this->network()) network->giveUp();
    }

    std::shared_ptr<Connection> network() const {
        std::lock_guard lock(mutex_);
        return network_;
    }
    /// The connection over the network, made when it is first needed.
    Result<std::shared_ptr<Connection>> network(Initiator& remote) const {
        auto connected = remote.connect(addresses_, nqn_);
        if (!connected.ok()) return connected;
        std::lock_guard lock(mutex_);
        network_ = connected.value();
        return connected;
    }
    void noteRemote(uint32_t nsid) const {
        std::lock_guard lock(mutex_);
        remote_.insert(nsid);
    }
    bool isRemote(uint32_t nsid) const {
        std::lock_guard lock(mutex_);
        return remote_.contains(nsid);
    }

 private:
    const TransportAddresses addresses_;
    const std::string nqn_;
    mutable std::mutex mutex_;
    mutable std::shared_ptr<Connection> network_;
    mutable std::set<uint32_t> remote_;  // nsids that go over it
};

Result<uint64_t> sizeNow(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) return makeError(errno, "cannot inspect an open file");
    if (!S_ISBLK(status.st_mode)) return static_cast<uint64_t>(status.st_size);
    uint64_t size = 0;
    if (ioctl(fd, BLKGETSIZE64, &size) != 0) return makeError(errno, "cannot size a device");
    return size;
}

}  // namespace

LocalAccess::LocalAccess(std::unique_ptr<Initiator> remote, Target& target,
                         TransportAddresses published)
    : remote_(std::move(remote)), target_(target), published_(std::move(published)) {}

Result<std::shared_ptr<Connection>> LocalAccess::connect(const TransportAddresses& addresses,
                                                         const std::string& subsystemNqn) {
    if (subsystemNqn != target_.subsystemNqn()) return remote_->connect(addresses, subsystemNqn);
    if (!sameEndpoints(addresses, published_)) {
        return makeError(EADDRINUSE,
                         "will not connect to " + subsystemNqn + " at " + toString(addresses) +
                             ": that NQN is this process's own target's, at " +
                             toString(published_),
                         "the segment is not what its record says: find out whose it is");
    }
    // The same one as long as somebody has it, as with any other target.
    std::lock_guard lock(mutex_);
    auto known = own_.lock();
    if (known && !known->isLive()) known.reset();
    if (!known) {
        known = std::make_shared<LocalConnection>(addresses, subsystemNqn);
        own_ = known;
    }
    return known;
}

Result<RemoteNamespace> LocalAccess::openNamespace(const Connection& connection, uint32_t nsid,
                                                   uint64_t size, int openFlags,
                                                   std::chrono::steady_clock::time_point deadline) {
    const auto* own = dynamic_cast<const LocalConnection*>(&connection);
    if (own == nullptr) {
        return remote_->openNamespace(connection, nsid, size, openFlags, deadline);
    }
    auto opened = target_.openLocally(nsid, openFlags);
    if (opened.ok()) {
        LocalFile file = opened.take();
        if (file.size == size) {
            return RemoteNamespace{std::move(file.fd), file.path,     file.size,
                                   file.blockSize,     file.readOnly, true};
        }
        return makeError(ESTALE, "namespace " + std::to_string(nsid) + " has " +
                                     std::to_string(file.size) + " bytes, not " +
                                     std::to_string(size));
    }
    if (opened.error().code == ENOENT) return Error{ENXIO, opened.error().message};
    if (opened.error().code != EOPNOTSUPP) return opened.error();
    auto network = own->network(*remote_);
    if (!network.ok()) return network.error();
    own->noteRemote(nsid);
    return remote_->openNamespace(*network.value(), nsid, size, openFlags, deadline);
}

Result<> LocalAccess::checkNamespace(const Connection& connection, uint32_t nsid, uint64_t size,
                                     const UniqueFd& device) {
    const auto* own = dynamic_cast<const LocalConnection*>(&connection);
    if (own == nullptr) return remote_->checkNamespace(connection, nsid, size, device);
    if (own->isRemote(nsid)) {
        const auto network = own->network();
        return remote_->checkNamespace(*network, nsid, size, device);
    }
    const std::string what = "namespace " + std::to_string(nsid);
    if (!target_.exports(nsid)) return makeError(ENXIO, what + " is not exported any more");
    const auto now = sizeNow(device.get());
    if (!now.ok()) return now.error();
    if (now.value() < size) return makeError(ESTALE, what + " has become smaller");
    return {};
}

}  // namespace mooncake::nvmeof_generic
