// SPDX-License-Identifier: Apache-2.0
#include "probe_queue.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kSilent[] = "it accepts connections and then does not answer, at ";
constexpr char kLarge[] =
    "the target answers, but large packets do not arrive: check the MTU of the path (they were "
    "lost at ";

std::string hex(uint32_t number) {
    char text[16];
    std::snprintf(text, sizeof(text), "0x%x", number);
    return text;
}

}  // namespace

Result<> ProbeQueue::initialize() {
    step_ = "ICReq";
    const wire::Bytes request = wire::icReq();
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

Result<ProbeQueue::Answer> ProbeQueue::run(const char* step, const wire::Bytes& capsule,
                                           uint32_t bytes, Data data) {
    step_ = step;
    expected_ = bytes;
    data_ = data;
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
        const auto piece = wire::parseData(pdu.data());
        const size_t there = answer.data.size();
        if (piece.id != id || header.dataOffset != pdu.size() || piece.offset != there ||
            piece.length == 0 || piece.length > bytes - there ||
            header.length != pdu.size() + piece.length) {
            return nonsense("its data has a wrong place or length").error();
        }
        answer.data.resize(there + piece.length);
        got = receive(answer.data.data() + there, piece.length);
        if (!got.ok()) return got.error();
        if (piece.success && piece.last) return finished(std::move(answer));
    }
}

Result<ProbeQueue::Answer> ProbeQueue::need(const char* step, const wire::Bytes& capsule,
                                            uint32_t bytes, Data data) {
    auto answer = run(step, capsule, bytes, data);
    if (!answer.ok() || answer.value().status == 0) return answer;
    return Error{EIO, "the target refuses " + std::string(step) + " with status " +
                          hex(answer.value().status)};
}

Result<ProbeQueue::Answer> ProbeQueue::finished(Answer answer) const {
    if (answer.status == 0 && data_ == Data::kWhole && answer.data.size() != expected_) {
        return nonsense("its data is incomplete").error();
    }
    return answer;
}

Result<> ProbeQueue::receive(uint8_t* data, size_t length) const {
    return exchangeFailed(socket_.receive(data, length, deadline_));
}

Result<> ProbeQueue::exchangeFailed(const Result<>& result) const {
    if (result.ok() || result.error().code != ETIMEDOUT) return result;
    if (expected_ >= wire::kIdentifyBytes) {
        return Error{ETIMEDOUT, kLarge + std::string(step_) + ")"};
    }
    return Error{ETIMEDOUT, kSilent + std::string(step_)};
}

Result<> ProbeQueue::nonsense(const std::string& what) const {
    if (what.empty()) return Error{EPROTO, ""};
    return Error{EPROTO, "the target breaks the protocol at " + std::string(step_) + ": " + what};
}

}  // namespace mooncake::nvmeof_generic
