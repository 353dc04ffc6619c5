// SPDX-License-Identifier: Apache-2.0
#include "record_owner.h"

#include <json/value.h>

#include "bounded_json.h"
#include "incarnation.h"
#include "metadata_codec.h"
#include "metadata_storage.h"

namespace mooncake {

namespace {

constexpr JsonBounds kBounds = {kMaxDescriptorBytes, kMaxJsonDepth, 8 * kMaxFileBuffers};
constexpr char kIncarnation[] = "incarnation";
constexpr char kChallenge[] = "challenge";

std::string textMember(const Json::Value& root, const char* key) {
    const Json::Value value = root.get(key, "");
    return value.isString() ? value.asString() : "";
}

}  // namespace

RecordOwner ownerOf(const std::string& record) {
    RecordOwner owner;
    Json::Value root;
    if (!parseBoundedObject(record, kBounds, &root).ok()) {
        owner.garbage = true;
        return owner;
    }
    owner.incarnation = textMember(root, kIncarnation);
    owner.challenge = textMember(root, kChallenge);
    TransferMetadata::SegmentDesc desc;
    TransferMetadata::RpcMetaDesc rpc;
    if (decodeSegmentDesc(record, &desc).ok()) {
        const auto& trid = desc.nvmeof_generic_trid;
        if (!trid.traddr.empty()) owner.address = trid.traddr + " port " + trid.trsvcid;
    } else if (decodeRpcMeta(record, &rpc).ok()) {
        owner.address = rpc.ip_or_host_name + " port " + std::to_string(rpc.rpc_port);
    } else {
        // What a later release writes is not garbage.
        owner.garbage = owner.incarnation.empty();
    }
    return owner;
}

std::string RecordOwner::text() const {
    std::string text = incarnation.empty() ? "a process without an incarnation in its record"
                                           : "incarnation " + shortIncarnation(incarnation);
    if (!address.empty()) text += ", at " + address;
    return logExcerpt(text);
}

std::string withChallenge(const std::string& record, const std::string& by) {
    Json::Value root;
    if (!parseBoundedObject(record, kBounds, &root).ok()) return record;
    root[kChallenge] = by;
    return writeJson(root);
}

bool sayTheSame(const std::string& record, const std::string& other) {
    if (record == other) return true;
    Json::Value one, two;
    return parseBoundedObject(record, kBounds, &one).ok() &&
           parseBoundedObject(other, kBounds, &two).ok() && one == two;
}

}  // namespace mooncake
