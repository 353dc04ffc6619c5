// SPDX-License-Identifier: Apache-2.0
// Descriptors as the JSON that Mooncake's nodes write and read. What comes in was written by
// somebody else: it is bounded before it is parsed and checked member by member. Unknown members
// are ignored. Nothing here throws for bad input.
#pragma once

#include <cstddef>
#include <string>

#include "common/base/status.h"
#include "transfer_metadata.h"

namespace mooncake {

inline constexpr size_t kMaxDescriptorBytes = size_t{8} << 20;
inline constexpr size_t kMaxFileBuffers = 65536;
inline constexpr size_t kMaxJsonDepth = 16;

// The wall clock now, for a descriptor's timestamp: "2025-01-31 23:59:59.000000Z". In UTC: nodes of
// several time zones share a store.
std::string publicationTime();

// The text to publish. `timestamp` is the text of its member of that name.
std::string encodeSegmentDesc(const TransferMetadata::SegmentDesc& desc,
                              const std::string& timestamp);

// MalformedJson, with the cause, for what is no descriptor; *desc is unspecified then.
Status decodeSegmentDesc(const std::string& text, TransferMetadata::SegmentDesc* desc);

std::string encodeRpcMeta(const TransferMetadata::RpcMetaDesc& desc);
// sockfd is left alone.
Status decodeRpcMeta(const std::string& text, TransferMetadata::RpcMetaDesc* desc);

}  // namespace mooncake
