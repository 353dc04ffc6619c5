// SPDX-License-Identifier: Apache-2.0
#include "p2p_frame.h"

#include <cstring>

namespace mooncake {

namespace {

constexpr size_t kHeader = sizeof(uint64_t);

uint64_t lengthIn(const std::string& bytes) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    return length;
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
        const uint64_t length = lengthIn(bytes_);
        if (length == 0 || length > kMaxP2pBytes) {
            bytes_.clear();
            return Status::MalformedJson("the message says that it has " + std::to_string(length) +
                                         " bytes; it may have 1 to " +
                                         std::to_string(kMaxP2pBytes));
        }
    }
    return Status::OK();
}

P2pFrame P2pFrameReader::take() {
    P2pFrame frame;
    const auto type = static_cast<uint8_t>(bytes_[kHeader]);
    const bool typed = type <= static_cast<uint8_t>(P2pType::kProbe);
    if (typed) frame.type = static_cast<P2pType>(type);
    frame.text = bytes_.substr(kHeader + (typed ? 1 : 0));
    bytes_.clear();
    return frame;
}

}  // namespace mooncake
