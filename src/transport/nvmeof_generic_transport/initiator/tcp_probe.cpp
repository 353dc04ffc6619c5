// SPDX-License-Identifier: Apache-2.0
#include "tcp_probe.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <utility>

#include "nvme_wire.h"
#include "probe_socket.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

using wire::Bytes;

constexpr char kSilent[] = "it accepts connections and then does not answer, at ";
constexpr char kLarge[] =
    "the target answers, but large packets do not arrive: check the MTU of the path (they were "
    "lost "
    "at ";

std::string hex(uint32_t number) {
    char text[16];
    std::snprintf(text, sizeof(text), "0x%x", number);
    return text;
}

// One command's answer.
struct Answer {
    uint64_t result = 0;
    uint16_t status = 0;
    Bytes data;
};

// An admin queue of which nothing is taken on trust: every length, offset and id is compared with
// what was asked for before a byte is kept.
class AdminQueue {
 public:
    AdminQueue(ProbeSocket& socket, Clock::time_point deadline)
        : socket_(socket), deadline_(deadline) {}

    Result<> initialize() {
        step_ = "ICReq";
        const Bytes request = wire::icReq();
        if (auto sent = exchangeFailed(socket_.send(request.data(), request.size(), deadline_));
            !sent.ok()) {
            return sent;
        }
        std::array<uint8_t, wire::kIcBytes> pdu{};
        // Anything but an ICResp is none of ours from its first byte on.
        if (auto got = receive(pdu.data(), 1); !got.ok()) return got;
        if (pdu[0] != wire::kIcResp) return nonsense("");
        if (auto got = receive(pdu.data() + 1, pdu.size() - 1); !got.ok()) return got;
        if (!wire::agreesToIcReq(pdu.data())) return nonsense("");
        return {};
    }

    uint16_t nextId() const { return id_; }

    /// @param capsule  with nextId()
    /// @param bytes  of data in the answer, at most
    Result<Answer> run(const char* step, const Bytes& capsule, uint32_t bytes = 0) {
        step_ = step;
        expected_ = bytes;
        const uint16_t id = id_++;
        if (auto sent = exchangeFailed(socket_.send(capsule.data(), capsule.size(), deadline_));
            !sent.ok()) {
            return sent.error();
        }
        Answer answer;
        while (true) {
            std::array<uint8_t, wire::kResponseBytes> pdu{};
            if (auto got = receive(pdu.data(), wire::kHeaderBytes); !got.ok()) return got.error();
            const auto header = wire::parseHeader(pdu.data());
            const bool known = header.type == wire::kCapsuleResp || header.type == wire::kC2hData;
            if (!known || header.headerLength != pdu.size() || header.length < pdu.size()) {
                return nonsense(header.type == wire::kC2hTermReq ? "it ended the connection"
                                                                 : "it sent no answer to it")
                    .error();
            }
            auto got = receive(pdu.data() + wire::kHeaderBytes, pdu.size() - wire::kHeaderBytes);
            if (!got.ok()) return got.error();
            if (header.type == wire::kCapsuleResp) {
                const auto completion = wire::parseCompletion(pdu.data());
                if (header.length != pdu.size() || completion.id != id) {
                    return nonsense("it answered another command").error();
                }
                answer.result = completion.result;
                answer.status = completion.status;
                return finished(std::move(answer));
            }
            const auto data = wire::parseData(pdu.data());
            const size_t there = answer.data.size();
            if (data.id != id || header.dataOffset != pdu.size() || data.offset != there ||
                data.length == 0 || data.length > bytes - there ||
                header.length != pdu.size() + data.length) {
                return nonsense("its data has a wrong place or length").error();
            }
            answer.data.resize(there + data.length);
            got = receive(answer.data.data() + there, data.length);
            if (!got.ok()) return got.error();
            if (data.success && data.last) return finished(std::move(answer));
        }
    }

    /// For a command that the kernel cannot do without.
    Result<Answer> need(const char* step, const Bytes& capsule, uint32_t bytes = 0) {
        auto answer = run(step, capsule, bytes);
        if (!answer.ok() || answer.value().status == 0) return answer;
        return Error{EIO, "the target refuses " + std::string(step) + " with status " +
                              hex(answer.value().status)};
    }

 private:
    Result<Answer> finished(Answer answer) {
        if (answer.status == 0 && answer.data.size() != expected_) {
            return nonsense("its data is incomplete").error();
        }
        return answer;
    }
    Result<> receive(uint8_t* data, size_t length) {
        return exchangeFailed(socket_.receive(data, length, deadline_));
    }
    Result<> exchangeFailed(const Result<>& result) const {
        if (result.ok() || result.error().code != ETIMEDOUT) return result;
        if (expected_ >= wire::kIdentifyBytes) {
            return Error{ETIMEDOUT, kLarge + std::string(step_) + ")"};
        }
        return Error{ETIMEDOUT, kSilent + std::string(step_)};
    }
    Result<> nonsense(const std::string& what) const {
        if (what.empty()) return Error{EPROTO, ""};
        return Error{EPROTO,
                     "the target breaks the protocol at " + std::string(step_) + ": " + what};
    }

    ProbeSocket& socket_;
    const Clock::time_point deadline_;
    uint16_t id_ = 1;
    const char* step_ = "";
    uint32_t expected_ = 0;
};

Error notReady() {
    return Error{ETIMEDOUT, "the target's controller does not become ready (CSTS.RDY)"};
}

Result<> enable(AdminQueue& queue, const std::stop_token& stop, Clock::time_point deadline) {
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

Result<> identify(AdminQueue& queue, const ProbeRequest& request, uint16_t controllerId) {
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
    AdminQueue queue(socket, end);
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
    if (wire::asksForAuthentication(connected.value().result)) return {};
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
