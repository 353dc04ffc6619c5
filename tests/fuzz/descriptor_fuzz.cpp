// SPDX-License-Identifier: Apache-2.0
// Case 28: descriptors and addresses of nodes as they come from a store. Whatever the text, there
// is an error or a descriptor that is written and read again without a change (but for bytes that
// are no UTF-8, which JSON cannot hold).
#include <cstddef>
#include <cstdint>

#include "metadata_codec.h"
#include "require.h"

using namespace mooncake;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    TransferMetadata::SegmentDesc desc;
    if (decodeSegmentDesc(text, &desc).ok()) {
        for (const auto& file : desc.file_buffers) {
            REQUIRE(file.id != 0);
            REQUIRE(file.uuid.empty() || file.uuid.size() == 36);
        }
        const std::string written = encodeSegmentDesc(desc, desc.timestamp);
        TransferMetadata::SegmentDesc again;
        REQUIRE(decodeSegmentDesc(written, &again).ok());
        REQUIRE(again.file_buffers.size() == desc.file_buffers.size());
        REQUIRE(encodeSegmentDesc(again, again.timestamp) == written);
    }
    TransferMetadata::RpcMetaDesc address;
    if (decodeRpcMeta(text, &address).ok()) {
        TransferMetadata::RpcMetaDesc again;
        const std::string written = encodeRpcMeta(address);
        REQUIRE(decodeRpcMeta(written, &again).ok());
        REQUIRE(encodeRpcMeta(again) == written);
        REQUIRE(again.rpc_port == address.rpc_port);
    }
    return 0;
}
