// SPDX-License-Identifier: Apache-2.0
#include "probe_authentication.h"

#include <cerrno>
#include <string>

#include "dhchap.h"
#include "nvme_wire.h"

namespace mooncake::nvmeof_generic {
namespace {

// One step of it, with what a connection that ends there means.
Result<wire::Bytes> ask(ProbeQueue& queue, const char* step, const wire::Bytes& capsule,
                        uint32_t bytes, const Error& ifClosed) {
    auto answer = queue.need(step, capsule, bytes, ProbeQueue::Data::kUpTo);
    if (answer.ok()) return std::move(answer.value().data);
    return answer.error().code == ECONNRESET ? ifClosed : answer.error();
}

}  // namespace

Result<> authenticate(ProbeQueue& queue, uint64_t connectResult, const ProbeRequest& request) {
    if (wire::asksForSecureChannel(connectResult)) {
        return Error{EPROTONOSUPPORT,
                     "the target asks for a TLS channel (secure channel concatenation), which this "
                     "transport does not use"};
    }
    if (!wire::asksForAuthentication(connectResult)) return {};
    if (request.keys.host == nullptr) return Error{ENOKEY, ""};

    const Error closed{ECONNRESET,
                       "the target closes the connection in the middle of authentication "
                       "(DH-HMAC-CHAP)"};
    const Error refused{
        EKEYREJECTED,
        "authentication (DH-HMAC-CHAP) failed: the target closes the connection "
        "instead of an answer, as Linux does where it has other keys for host NQN " +
            request.host.nqn + " than this host's key file"};
    DhchapHost host(request.host.nqn, request.subsystemNqn, request.keys);
    const auto send = [&](const char* step, const wire::Bytes& message, const Error& ifClosed) {
        return ask(queue, step, wire::authenticationSend(queue.nextId(), message), 0, ifClosed);
    };
    const auto receive = [&](const char* step, const Error& ifClosed) {
        constexpr uint32_t kBytes = DhchapHost::kMessageBytes;
        return ask(queue, step, wire::authenticationReceive(queue.nextId(), kBytes), kBytes,
                   ifClosed);
    };
    auto sent = send("the negotiation of DH-HMAC-CHAP", DhchapHost::negotiate(), closed);
    if (!sent.ok()) return sent.error();
    const auto challenge = receive("the challenge of DH-HMAC-CHAP", closed);
    if (!challenge.ok()) return challenge.error();
    const auto reply = host.reply(challenge.value());
    if (!reply.ok()) return reply.error();
    sent = send("the reply of DH-HMAC-CHAP", reply.value(), refused);
    if (!sent.ok()) return sent.error();
    const auto outcome = receive("the outcome of DH-HMAC-CHAP", refused);
    if (!outcome.ok()) return outcome.error();
    const auto judged = host.judge(outcome.value());
    if (host.last().empty()) return judged;
    sent = send("the end of DH-HMAC-CHAP", host.last(), closed);
    return judged.ok() && !sent.ok() ? sent.error() : judged;
}

}  // namespace mooncake::nvmeof_generic
