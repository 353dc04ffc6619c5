// SPDX-License-Identifier: Apache-2.0
#include "p2p_frame.h"

#include <cstring>

namespace mooncake {

namespace {

constexpr size_t kHeader = sizeof(uint64_t);

uint64_t lengthIn(std::string_view bytes) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    return length;
}

Status checkLength(uint64_t length) {
    if (length != 0 && length <= kMaxP2pBytes) return Status::OK();
    return Status::MalformedJson("the message says that it has " + std::to_string(length) +
                                 " bytes; it may have 1 to " + std::to_string(kMaxP2pBytes));
}

// kUntyped where it is the first character of a text.
P2pType typeOf(char first) {
    const auto type = static_cast<uint8_t>(first);
    return type <= static_cast<uint8_t>(P2pType::kProbe) ? static_cast<P2pType>(type)
                                                         : P2pType::kUntyped;
}

}  // namespace

std::string encodeP2pFrame(P2pType type, std::string_view text) {
    const bool typed = type != P2pType::kUntyped;
    const uint64_t length = text.size() + (typed ? 1 : 0);
    std::string bytes(kHeader, '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    if (typed) bytes += static_cast<char>(type);
    bytes += text;
    return bytes;
}

size_t P2pFrameReader::missing() const {
    if (bytes_.size() < kHeader) return kHeader - bytes_.size();
    return kHeader + lengthIn(bytes_) - bytes_.size();
}

Status P2pFrameReader::feed(std::string_view bytes) {
    while (!bytes.empty()) {
        const size_t wanted = missing();
        if (wanted == 0) return Status::MalformedJson("there are bytes behind the message");
        const std::string_view part = bytes.substr(0, wanted);
        bytes_ += part;
        bytes.remove_prefix(part.size());
        if (bytes_.size() < kHeader) continue;
        Status status = checkLength(lengthIn(bytes_));
        if (!status.ok()) {
            bytes_.clear();
            return status;
        }
    }
    return Status::OK();
}

P2pFrame P2pFrameReader::take() {
    P2pFrame frame;
    frame.type = typeOf(bytes_[kHeader]);
    frame.text = bytes_.substr(kHeader + (frame.type == P2pType::kUntyped ? 0 : 1));
    bytes_.clear();
    return frame;
}

Status P2pTypeReader::feed(std::string_view bytes) {
    std::memcpy(head_ + head_size_, bytes.data(), bytes.size());
    head_size_ += bytes.size();
    if (head_size_ < kHeader) return Status::OK();
    const uint64_t length = lengthIn({head_, kHeader});
    Status status = checkLength(length);
    if (!status.ok() || head_size_ < kP2pHeadBytes) return status;
    rest_ = static_cast<size_t>(length) - 1;
    type_ = typeOf(head_[kHeader]);
    if (type_ == P2pType::kUntyped && head_[kHeader] != '{') {
        return Status::MalformedJson("the message is of no type, and its text is no object");
    }
    return status;
}

}  // namespace mooncake
