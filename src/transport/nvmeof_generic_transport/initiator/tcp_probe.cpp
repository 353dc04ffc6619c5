// SPDX-License-Identifier: Apache-2.0
#include "tcp_probe.h"

#include <cerrno>
#include <utility>

#include "nvme_wire.h"
#include "probe_authentication.h"
#include "probe_queue.h"
#include "probe_socket.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

using wire::Bytes;

Error notReady() {
    return Error{ETIMEDOUT, "the target's controller does not become ready (CSTS.RDY)"};
}

Result<> enable(ProbeQueue& queue, const std::stop_token& stop, Clock::time_point deadline) {
    for (const auto& [name, offset] : {std::pair("CAP", wire::kCap), std::pair("VS", wire::kVs)}) {
        auto got =
            queue.need(name, wire::propertyGet(queue.nextId(), offset, offset == wire::kCap));
        if (!got.ok()) return got.error();
    }
    auto set = queue.need("CC", wire::propertySet(queue.nextId(), wire::kCc, wire::kCcEnable));
    if (!set.ok()) return set.error();
    Poll poll(deadline, stop);
    for (bool again = false;; again = true) {
        auto got = queue.need("CSTS", wire::propertyGet(queue.nextId(), wire::kCsts, false));
        if (!got.ok()) {
            if (again && got.error().code == ETIMEDOUT) return notReady();
            return got.error();
        }
        if ((got.value().result & wire::kCstsFatal) != 0) {
            return Error{EIO, "the target's controller reports a fatal error (CSTS.CFS)"};
        }
        if ((got.value().result & wire::kCstsReady) != 0) return {};
        if (!poll.wait()) return poll.stopped() ? Error{ECANCELED, ""} : notReady();
    }
}

Result<> identify(ProbeQueue& queue, const ProbeRequest& request, uint16_t controllerId) {
    const auto answer =
        queue.need("Identify", wire::identifyController(queue.nextId()), wire::kIdentifyBytes);
    if (!answer.ok()) return answer.error();
    const auto identity = wire::parseIdentity(answer.value().data.data());
    // The kernel goes by this name: it would make the controller a path of that subsystem's disks.
    if (identity.subsystemNqn != request.subsystemNqn) {
        return Error{EPROTO,
                     "it says that it is another subsystem, " + inQuotes(identity.subsystemNqn)};
    }
    if (identity.controllerId != controllerId) {
        return Error{EPROTO, "it says that it is another controller than it was at Connect"};
    }
    if (identity.anaLogBytes == 0) return {};
    const auto log =
        queue.run("the ANA log", wire::getAnaLog(queue.nextId(), identity.anaLogBytes & ~3u),
                  identity.anaLogBytes & ~3u);
    return log.ok() ? Result<>() : log.error();
}

}  // namespace

Result<> probeTcpTarget(const ProbeRequest& request, Clock::time_point deadline,
                        std::chrono::milliseconds limit, const std::stop_token& stop) {
    ProbeSocket socket(stop);
    if (auto connected = socket.connect(request.path, deadline); !connected.ok()) return connected;
    const auto end = Clock::now() + limit;
    ProbeQueue queue(socket, end);
    if (auto ready = queue.initialize(); !ready.ok()) return ready;
    const auto milliseconds = std::chrono::milliseconds(request.keepAlive).count();
    // A target with Linux 6.1 waits in a Connect for connections that end, and for itself where
    // this one has ended by then: no Connect of anybody is answered any more
    // (nvmet_tcp_install_queue() and nvmet_tcp_release_queue_work()).
    socket.endInOrder(true);
    const auto connected =
        queue.run("Connect", wire::connect(queue.nextId(), request.subsystemNqn, request.host,
                                           static_cast<uint32_t>(milliseconds)));
    socket.endInOrder(false);
    if (!connected.ok()) return connected.error();
    if (connected.value().status != 0) return Error{EIO, ""};
    const auto authenticated = authenticate(queue, connected.value().result, request);
    if (!authenticated.ok()) return authenticated;
    if (auto enabled = enable(queue, stop, end); !enabled.ok()) return enabled;
    const auto controllerId = static_cast<uint16_t>(connected.value().result);
    if (auto known = identify(queue, request, controllerId); !known.ok()) return known;
    constexpr uint16_t kQueues = 1;
    const std::pair<const char*, Bytes (*)(uint16_t)> rest[] = {
        {"the number of queues", [](uint16_t id) { return wire::setNumberOfQueues(id, kQueues); }},
        {"keep-alive", wire::keepAlive},
        {"the shutdown",
         [](uint16_t id) { return wire::propertySet(id, wire::kCc, wire::kCcShutdown); }}};
    if (auto list = queue.run("the list of namespaces",
                              wire::identifyActiveNamespaces(queue.nextId()), wire::kIdentifyBytes);
        !list.ok()) {
        return list.error();
    }
    for (const auto& [name, command] : rest) {
        if (auto done = queue.run(name, command(queue.nextId())); !done.ok()) return done.error();
    }
    return {};
}

}  // namespace mooncake::nvmeof_generic
