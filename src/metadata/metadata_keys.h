// SPDX-License-Identifier: Apache-2.0
// Under which keys the nodes of a cluster find each other's entries, and which names can be part of
// one.
#pragma once

#include <string>
#include <string_view>

#include "common/base/status.h"

namespace mooncake {

// InvalidArgument, with the cause, unless the name is 1 to 512 printable ASCII characters without
// space or comma, begins with no slash, and holds neither ".." nor the prefix of the RPC entries.
Status checkSegmentName(const std::string& name);

// The same for the name of a node, which moreover holds no slash at all.
Status checkServerName(const std::string& name);

// Whether a key is that of a node's address, not of a segment.
bool isAddressKey(std::string_view key);

class MetadataKeys {
 public:
    // `cluster_id` sets clusters that share a store apart; null or empty for none. InvalidArgument
    // for one that cannot be part of a key.
    static Status create(const char* cluster_id, MetadataKeys* keys);

    // mooncake/[cluster/]ram/<name>, or mooncake/[cluster/]<name> for a name with a slash.
    std::string segment(const std::string& name) const;
    // mooncake/[cluster/]rpc_meta/<name>
    std::string rpcMeta(const std::string& server_name) const;

 private:
    std::string prefix_ = "mooncake/";
};

}  // namespace mooncake
