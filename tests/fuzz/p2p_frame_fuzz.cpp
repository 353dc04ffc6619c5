// SPDX-License-Identifier: Apache-2.0
// Case 28: the bytes that a stranger sends to a node (P2PHANDSHAKE), in pieces whose size the first
// byte tells. A frame that is complete is the bytes that came; nothing beyond them is waited for.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "p2p_frame.h"
#include "require.h"

using namespace mooncake;

namespace {

// Who looks at the type alone comes to the same as who puts the frame together, but for texts that
// are none.
void readType(std::string_view bytes, size_t piece, const P2pFrame* frame) {
    P2pTypeReader reader;
    size_t used = 0;
    while (used < bytes.size() && reader.missingHead() > 0) {
        const size_t take = std::min({piece, bytes.size() - used, reader.missingHead()});
        if (!reader.feed(bytes.substr(used, take)).ok()) {
            REQUIRE(frame == nullptr ||
                    (frame->type == P2pType::kUntyped && !frame->text.starts_with('{')));
            return;
        }
        used += take;
    }
    REQUIRE(frame == nullptr || reader.missingHead() == 0);
    if (reader.missingHead() > 0) return;
    REQUIRE(reader.rest() < kMaxP2pBytes);
    REQUIRE(frame == nullptr || reader.type() == frame->type);
    REQUIRE(frame == nullptr || used + reader.rest() == bytes.size());
    reader.skip(std::min(reader.rest(), bytes.size() - used));
    REQUIRE(frame == nullptr || reader.rest() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t piece = 1 + data[0];
    const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
    readType(bytes, piece, nullptr);
    P2pFrameReader reader;
    size_t used = 0;
    while (used < bytes.size() && reader.missing() > 0) {
        const size_t take = std::min({piece, bytes.size() - used, reader.missing()});
        if (!reader.feed(std::string_view(bytes).substr(used, take)).ok()) return 0;
        used += take;
        REQUIRE(reader.missing() <= sizeof(uint64_t) + kMaxP2pBytes);
    }
    if (reader.missing() > 0) return 0;
    const P2pFrame frame = reader.take();
    REQUIRE(encodeP2pFrame(frame.type, frame.text) == bytes.substr(0, used));
    REQUIRE(reader.missing() == sizeof(uint64_t));
    readType(std::string_view(bytes).substr(0, used), piece, &frame);
    return 0;
}
