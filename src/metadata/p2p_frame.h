// SPDX-License-Identifier: Apache-2.0
// The messages of nodes that ask each other (P2PHANDSHAKE), as Mooncake's nodes write and read
// them: the length of the rest in 8 bytes, in the byte order of the host; one byte that tells the
// type; a JSON text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace mooncake {

enum class P2pType : uint8_t {
    kConnection = 0,
    kMetadata = 1,
    kNotify = 2,
    kProbe = 3,
    kUntyped = 0xff,  // of the first version of the protocol: the text begins where the type would
};

// The most that the length may say: type and text.
inline constexpr size_t kMaxP2pBytes = size_t{1} << 20;

// The most that the head of a frame has: the length and the type.
inline constexpr size_t kP2pHeadBytes = sizeof(uint64_t) + 1;

struct P2pFrame {
    P2pType type = P2pType::kUntyped;
    std::string text;
};

// The bytes of a frame; the text has at most kMaxP2pBytes - 1 of them.
std::string encodeP2pFrame(P2pType type, std::string_view text);

// Puts one frame together from the bytes as they come. Needs no more memory than came. One thread
// at a time.
class P2pFrameReader {
 public:
    // MalformedJson, with the cause, for a length that no frame has, and for bytes behind the
    // frame.
    Status feed(std::string_view bytes);
    // How many bytes are missing, as far as is known; 0 once the frame is complete.
    size_t missing() const;
    // The frame that is complete.
    P2pFrame take();

 private:
    std::string bytes_;
};

// Finds the end of one frame of which nothing but the type is of use, and keeps none of its text.
// One thread at a time.
class P2pTypeReader {
 public:
    // How many bytes of the head are missing, to be fed: at most kP2pHeadBytes.
    size_t missingHead() const { return kP2pHeadBytes - head_size_; }
    // At most missingHead() bytes. MalformedJson, with the cause, for a length that no frame has
    // and for a text that no version of the protocol begins with.
    Status feed(std::string_view bytes);
    // How many bytes of the text follow, once the head is complete.
    size_t rest() const { return rest_; }
    // So many of them have come.
    void skip(size_t count) { rest_ -= count; }
    // Once the head is complete.
    P2pType type() const { return type_; }

 private:
    char head_[kP2pHeadBytes] = {};
    size_t head_size_ = 0;
    size_t rest_ = 0;
    P2pType type_ = P2pType::kUntyped;
};

}  // namespace mooncake
