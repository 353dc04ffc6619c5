// SPDX-License-Identifier: Apache-2.0
#include "port.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "owner.h"
#include "transport/nvmeof_generic_transport/common/endpoint.h"

namespace mooncake::nvmeof_generic {
namespace {

// Ports made by hand or by nvmetcli have small numbers; a saved configuration of theirs should find
// those free when it is restored.
constexpr uint32_t kFirstId = 40000;
constexpr uint32_t kIds = 65536;  // nvmet takes 16 bits

// Then a dot and the network namespace; an earlier version had nothing after it.
constexpr std::string_view kMark = "mooncake-nvmeof-generic";

// @return nothing when it is no mark of ours
std::optional<Port::Own> asOwn(const std::string& id, const std::string& mark) {
    if (!mark.starts_with(kMark)) return std::nullopt;
    const std::string_view rest = std::string_view(mark).substr(kMark.size());
    if (rest.empty()) return Port::Own{id, mark, std::nullopt};
    uint64_t network = 0;
    const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), network);
    if (rest.front() != '.' || error != std::errc() || end != rest.data() + rest.size()) {
        return std::nullopt;
    }
    return Port::Own{id, mark, network};
}

Result<> writeAddress(const NvmetTree& tree, const std::string& id,
                      const TransportAddress& address) {
    const std::string port = tree.port(id);
    for (auto [name, value] : {std::pair{"trtype", &address.trtype},
                               {"adrfam", &address.adrfam},
                               {"traddr", &address.traddr},
                               {"trsvcid", &address.trsvcid}}) {
        const int code = tree.files->writeFile(port + "/addr_" + name, *value);
        if (code != 0) {
            return treeError(code, "cannot set " + port + "/addr_" + name + " to '" + *value + "'");
        }
    }
    return {};
}

// A new port with an id that nobody has.
Result<std::string> makePort(const NvmetTree& tree, const TreeLock& treeLock, uint64_t network,
                             std::unique_ptr<SharedDir>& dir) {
    const std::string mark = std::string(kMark) + "." + std::to_string(network);
    for (uint32_t i = 0; i < kIds; ++i) {
        const std::string id = std::to_string((kFirstId + i) % kIds);
        auto made = SharedDir::create(tree, treeLock, Port::place(tree, {id, mark, network}));
        if (made.ok()) {
            dir = made.take();
            return id;
        }
        if (made.error().code != EEXIST) return made.error();
    }
    return makeError(ENOSPC, "every port number in " + tree.ports() + " is taken");
}

}  // namespace

SharedDir::Place Port::place(const NvmetTree& tree, const Own& port) {
    return {tree.port(port.id), tree.port(port.id) + "/referrals/" + port.mark};
}

TransportAddress Port::addressOf(const NvmetTree& tree, const std::string& id) {
    TransportAddress address;
    const std::string port = tree.port(id);
    for (auto [name, field] : {std::pair{"trtype", &address.trtype},
                               {"adrfam", &address.adrfam},
                               {"traddr", &address.traddr},
                               {"trsvcid", &address.trsvcid}}) {
        if (tree.files->readFile(port + "/addr_" + name, *field) != 0) field->clear();
    }
    return address;
}

std::string Port::linkPath(const NvmetTree& tree, const std::string& id,
                           const std::string& subsystemNqn) {
    return tree.port(id) + "/subsystems/" + subsystemNqn;
}

Result<std::vector<Port::Own>> Port::listOwn(const NvmetTree& tree) {
    std::vector<std::string> ids;
    if (const int code = tree.files->list(tree.ports(), ids); code != 0) {
        return treeError(code, "cannot list " + tree.ports());
    }
    std::vector<Own> ports;
    for (const std::string& id : ids) {
        std::vector<std::string> referrals;
        const std::string folder = tree.port(id) + "/referrals";
        // A port that goes meanwhile has none.
        if (const int code = unlessGone(tree.files->list(folder, referrals)); code != 0) {
            return treeError(code, "cannot list " + folder);
        }
        for (const std::string& referral : referrals) {
            if (const auto own = asOwn(id, referral)) ports.push_back(*own);
        }
    }
    return ports;
}

Port::Port(const NvmetTree& tree, const TransportAddress& address, std::chrono::milliseconds limit,
           uint64_t network, std::string id, std::unique_ptr<SharedDir> dir,
           std::unique_ptr<BoundedThread> thread)
    : tree_(tree),
      address_(address),
      limit_(limit),
      network_(network),
      id_(std::move(id)),
      dir_(std::move(dir)),
      thread_(std::move(thread)) {}

Result<std::unique_ptr<Port>> Port::acquire(const NvmetTree& tree, const TransportAddress& address,
                                            std::chrono::milliseconds limit) {
    const uint64_t network = networkNamespace();
    auto thread = BoundedThread::start("nvmeof-port");
    if (!thread.ok()) return thread.error();
    std::unique_ptr<SharedDir> dir;  // outlives the lock, which its destructor would wait for
    auto treeLock = TreeLock::acquire(tree);
    if (!treeLock.ok()) return treeLock.error();

    auto own = listOwn(tree);
    if (!own.ok()) return own.error();
    for (const Own& port : own.value()) {
        if (port.network != network) continue;
        if (!sameEndpoint(addressOf(tree, port.id), address)) continue;
        auto joined = SharedDir::join(tree, treeLock.value(), place(tree, port));
        if (!joined.ok()) return joined.error();
        return std::unique_ptr<Port>(
            new Port(tree, address, limit, network, port.id, joined.take(), thread.take()));
    }

    auto id = makePort(tree, treeLock.value(), network, dir);
    if (!id.ok()) return id.error();
    if (auto written = writeAddress(tree, id.value(), address); !written.ok()) {
        return written.error();
    }
    return std::unique_ptr<Port>(
        new Port(tree, address, limit, network, id.take(), std::move(dir), thread.take()));
}

// What an earlier call gave up waiting for. How it went does not matter any more.
Result<> Port::finishChange() {
    if (!change_) return {};
    if (!thread_->endsWithin(limit_)) {
        return makeError(EBUSY, "cannot change who is served at " + tree_.port(id_) + " yet",
                         "the kernel is still at an earlier change of its NVMe target: a disk that "
                         "hangs can keep it there");
    }
    if (*change_->code == 0) link_ = change_->link;
    change_.reset();
    linked_ = !link_.empty();
    return {};
}

// The kernel makes such changes one at a time for all of nvmet.
// @return what the tree said, or EBUSY as an Error
Result<int> Port::change(const std::string& link, std::function<int()> work) {
    // First what may find no memory: then nothing has begun.
    auto code = std::make_shared<int>(0);
    auto next = std::make_unique<Change>(Change{link, code});
    std::function<void()> task = [code, work = std::move(work)] { *code = work(); };
    linked_ = false;
    ++version_;
    change_ = std::move(next);
    thread_->run(std::move(task));
    if (auto finished = finishChange(); !finished.ok()) return finished.error();
    return *code;
}

Result<> Port::link(const std::string& subsystemNqn) {
    if (auto finished = finishChange(); !finished.ok()) return finished;
    if (!link_.empty()) return {};
    if (networkNamespace() != network_) {
        return makeError(EXDEV, "cannot listen at " + toString(address_),
                         "the calling thread has moved to another network namespace");
    }
    const std::string path = linkPath(tree_, id_, subsystemNqn);
    const auto linked =
        change(path, [files = tree_.files, path, subsystem = tree_.subsystem(subsystemNqn)] {
            return files->link(subsystem, path);
        });
    if (!linked.ok()) return linked.error();
    return linked.value() == 0 ? Result<>() : listenError(tree_, address_, linked.value(), id_);
}

namespace {

// Whether it is a port of ours that listens in another network namespace than this one, where it is
// in nobody's way. RDMA devices know no namespaces in nvmet.
bool isElsewhere(const NvmetTree& tree, const TransportAddress& address, const std::string& id) {
    const auto own = Port::listOwn(tree);
    if (!own.ok() || address.trtype != "tcp") return false;
    const uint64_t here = networkNamespace();
    return std::any_of(own.value().begin(), own.value().end(), [&](const Port::Own& port) {
        return port.id == id && port.network && *port.network != here;
    });
}

}  // namespace

Error Port::listenError(const NvmetTree& tree, const TransportAddress& address, int code,
                        const std::string& ownId) {
    const std::string what = "cannot listen at " + toString(address);
    switch (code) {
        case EADDRNOTAVAIL:
        case ENODEV:
            return makeError(code, what,
                             "traddr must be an address of this host" +
                                 std::string(address.trtype == "rdma" ? " on an RDMA device" : "") +
                                 "; 'ip address' lists them");
        case EINVAL:
            return makeError(code, what,
                             "the kernel has no transport " + address.trtype +
                                 ", or it does not take this address: modprobe nvmet-" +
                                 address.trtype + "; 'dmesg' has its reason");
        case EAFNOSUPPORT:
            return makeError(code, what, "this host has no " + address.adrfam);
        case EADDRINUSE:
            break;
        default:
            return treeError(code, what);
    }
    std::vector<std::string> ids;
    if (tree.files->list(tree.ports(), ids) == 0) {
        for (const std::string& id : ids) {
            const TransportAddress other = addressOf(tree, id);
            if (id != ownId && collide(other, address) && !isElsewhere(tree, address, id)) {
                return makeError(code, what,
                                 tree.port(id) + " (" + toString(other) +
                                     ") is in the way: choose another trsvcid");
            }
        }
    }
    return makeError(code, what,
                     "another program listens there (ss -tlnp sport = :" + address.trsvcid +
                         "), or the port is the local one of an outgoing connection (ss -tnp "
                         "sport = :" +
                         address.trsvcid +
                         "): choose another trsvcid, outside of net.ipv4.ip_local_port_range");
}

Result<> Port::unlink() {
    if (auto finished = finishChange(); !finished.ok()) return finished;
    if (link_.empty()) return {};
    const auto unlinked =
        change("", [files = tree_.files, path = link_] { return unlessGone(files->unlink(path)); });
    if (!unlinked.ok()) return unlinked.error();
    if (unlinked.value() == 0) return {};
    return treeError(unlinked.value(), "cannot remove " + link_);
}

Port::~Port() {
    if (const auto unlinked = unlink(); !unlinked.ok()) LOG(ERROR) << unlinked.error().message;
}

}  // namespace mooncake::nvmeof_generic
