// SPDX-License-Identifier: Apache-2.0
#include "p2p_storage.h"

#include <json/value.h>

#include <algorithm>
#include <utility>

#include "bounded_json.h"
#include "common.h"
#include "deadline_socket.h"
#include "metadata_codec.h"
#include "metadata_keys.h"

namespace mooncake {

namespace {

// What a node without a descriptor says.
constexpr char kNothing[] = "null";

std::string_view nameIn(std::string_view key) {
    return key.substr(key.rfind('/') + 1);
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
    return text;
}

}  // namespace

MetadataStorage::Result P2pStorage::listen(const std::string& host, uint16_t* port) {
    std::lock_guard listening(listen_mutex_);
    if (listener_) {
        *port = listener_->port();
        return {};
    }
    const Status status = P2pListener::start(
        host, *port, P2pListener::Limits(), [this](P2pType type) { return answer(type); },
        &listener_);
    if (!status.ok()) return {Outcome::kFailed, std::string(status.message())};
    *port = listener_->port();
    std::lock_guard lock(mutex_);
    own_address_ = maybeWrapIpV6(host) + ":" + std::to_string(*port);
    return {};
}

MetadataStorage::Result P2pStorage::set(const std::string& key, const std::string& value) {
    if (isAddressKey(key)) return {};
    if (value.size() >= kMaxP2pBytes) {
        return {Outcome::kRefused, "the descriptor in '" + key + "' has " +
                                       std::to_string(value.size()) +
                                       " bytes, and a message of P2PHANDSHAKE holds " +
                                       std::to_string(kMaxP2pBytes - 1) +
                                       "; register fewer files or use a metadata server"};
    }
    auto frame = std::make_shared<const std::string>(encodeP2pFrame(P2pType::kMetadata, value));
    std::lock_guard lock(mutex_);
    own_key_ = key;
    own_text_ = value;
    own_frame_ = std::move(frame);
    return {};
}

MetadataStorage::Result P2pStorage::remove(const std::string& key) {
    std::lock_guard lock(mutex_);
    if (key != own_key_) return {Outcome::kNotFound, "this node does not hold '" + key + "'"};
    own_key_.clear();
    own_text_.clear();
    own_frame_.reset();
    return {};
}

// Nobody but this process writes here.
MetadataStorage::Result P2pStorage::exchange(const std::string& key, const Entry& expected,
                                             const Entry& desired, Entry* found) {
    (void)expected, (void)found;
    if (desired) return set(key, *desired);
    remove(key);
    return {};
}

MetadataStorage::Result P2pStorage::get(const std::string& key, std::string* value) {
    {
        std::lock_guard lock(mutex_);
        if (key == own_key_) {
            *value = own_text_;
            return {};
        }
    }
    std::vector<StoreEndpoint> nodes;
    const Status status = parseEndpoints("with P2PHANDSHAKE the name of a node is its address; it",
                                         nameIn(key), getDefaultHandshakePort(), &nodes);
    if (!status.ok()) return {Outcome::kRefused, std::string(status.message())};
    if (isAddressKey(key)) {
        TransferMetadata::RpcMetaDesc desc;
        desc.ip_or_host_name = nodes[0].host;
        desc.rpc_port = nodes[0].port;
        *value = encodeRpcMeta(desc);
        return {};
    }
    return withRetries(limits_, nullptr,
                       [&](std::chrono::milliseconds time) { return ask(nodes[0], time, value); });
}

// Sends this node's descriptor, as the protocol has it, and receives the other's.
StoreAttempt P2pStorage::ask(const StoreEndpoint& node, std::chrono::milliseconds time,
                             std::string* value) const {
    std::string own;
    {
        std::lock_guard lock(mutex_);
        own = own_text_;
        if (own.empty()) {
            TransferMetadata::SegmentDesc desc;
            desc.name = own_address_;
            desc.protocol = "nvmeof_generic";
            own = encodeSegmentDesc(desc, publicationTime());
        }
    }
    const auto now = std::chrono::steady_clock::now();
    const auto deadline = now + time;
    const std::string what = "asking node " + node.text() + " for its descriptor: ";
    DeadlineSocket socket;
    Status status = socket.connect(node, std::min(deadline, now + limits_.connect));
    if (status.ok()) status = socket.send(encodeP2pFrame(P2pType::kMetadata, own), deadline);
    P2pFrameReader reader;
    while (status.ok() && reader.missing() > 0) {
        std::string bytes;
        status = socket.receive(reader.missing(), deadline, &bytes);
        if (status.ok()) status = reader.feed(bytes);
    }
    if (!status.ok()) {
        return {{Outcome::kFailed, what + std::string(status.message())},
                status.IsSocket() || status.IsDns()};
    }
    P2pFrame frame = reader.take();
    if (frame.type != P2pType::kMetadata) {
        return {{Outcome::kFailed, what + "the answer is of another type"}};
    }
    if (trimmed(frame.text) == kNothing) {
        return {{Outcome::kNotFound, what + "it has published no segment"}};
    }
    *value = std::move(frame.text);
    return {};
}

// What stands in an ask is of no use to this node: it looks nothing up for others, and has no
// memory segments to connect to.
std::shared_ptr<const std::string> P2pStorage::answer(P2pType type) const {
    std::string text = kNothing;
    switch (type) {
        case P2pType::kMetadata: {
            std::lock_guard lock(mutex_);
            if (own_frame_) return own_frame_;
            break;
        }
        case P2pType::kConnection:
        case P2pType::kUntyped: {
            Json::Value reply(Json::objectValue);
            reply["local_nic_path"] = "";
            reply["peer_nic_path"] = "";
            reply["qp_num"] = Json::Value(Json::arrayValue);
            reply["reply_msg"] = "this node has no memory segments to connect to";
            text = writeJson(reply);
            break;
        }
        case P2pType::kNotify: {
            // An empty message is a refusal.
            Json::Value reply(Json::objectValue);
            reply["name"] = "";
            reply["notify_msg"] = "";
            text = writeJson(reply);
            break;
        }
        case P2pType::kProbe:
            break;
    }
    return std::make_shared<const std::string>(encodeP2pFrame(type, text));
}

}  // namespace mooncake
