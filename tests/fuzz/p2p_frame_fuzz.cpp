// SPDX-License-Identifier: Apache-2.0
// Case 28: the bytes that a stranger sends to a node (P2PHANDSHAKE), in pieces whose size the first
// byte tells. A frame that is complete is the bytes that came; nothing beyond them is waited for.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "p2p_frame.h"
#include "require.h"

using namespace mooncake;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t piece = 1 + data[0];
    const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
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
    return 0;
}
