// SPDX-License-Identifier: Apache-2.0
#include "metadata_keys.h"

namespace mooncake {

namespace {

constexpr std::string_view kRpcMeta = "rpc_meta/";
constexpr size_t kMaxNameBytes = 512;

Status checkKeyPart(std::string_view what, std::string_view text) {
    const auto bad = [what](std::string_view why) {
        return Status::InvalidArgument(std::string(what) + " " + std::string(why));
    };
    if (text.empty()) return bad("is empty");
    if (text.size() > kMaxNameBytes) {
        return bad("has " + std::to_string(text.size()) + " characters; at most " +
                   std::to_string(kMaxNameBytes) + " are allowed");
    }
    // The name is not repeated before it is known to be printable.
    for (const char c : text) {
        if (c <= ' ' || c > '~' || c == ',') {
            return bad("holds a space, a comma or an unprintable character");
        }
    }
    if (text.find("..") != std::string_view::npos) {
        return bad("'" + std::string(text) + "' holds '..'");
    }
    if (text.front() == '/') return bad("'" + std::string(text) + "' begins with a slash");
    return Status::OK();
}

}  // namespace

Status checkSegmentName(const std::string& name) {
    Status status = checkKeyPart("the segment name", name);
    if (status.ok() && name.starts_with(kRpcMeta)) {
        status = Status::InvalidArgument("the segment name '" + name + "' begins with '" +
                                         std::string(kRpcMeta) + "', which is reserved");
    }
    return status;
}

Status checkServerName(const std::string& name) {
    Status status = checkKeyPart("the server name", name);
    if (status.ok() && name.find('/') != std::string::npos) {
        status = Status::InvalidArgument("the server name '" + name + "' holds a slash");
    }
    return status;
}

bool isAddressKey(std::string_view key) {
    return key.substr(0, key.rfind('/') + 1).ends_with("/rpc_meta/");
}

Status MetadataKeys::create(const char* cluster_id, MetadataKeys* keys) {
    *keys = MetadataKeys();
    if (cluster_id == nullptr || *cluster_id == '\0') return Status::OK();
    std::string id = cluster_id;
    if (id.back() == '/') id.pop_back();
    Status status = checkKeyPart("the cluster id in MC_METADATA_CLUSTER_ID", id);
    if (status.ok()) keys->prefix_ += id + "/";
    return status;
}

std::string MetadataKeys::segment(const std::string& name) const {
    return prefix_ + (name.find('/') == std::string::npos ? "ram/" : "") + name;
}

std::string MetadataKeys::rpcMeta(const std::string& server_name) const {
    return prefix_ + std::string(kRpcMeta) + server_name;
}

}  // namespace mooncake
