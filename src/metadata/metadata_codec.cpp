// SPDX-License-Identifier: Apache-2.0
#include "metadata_codec.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <limits>
#include <string_view>
#include <unordered_set>

#include "bounded_json.h"

namespace mooncake {

namespace {

constexpr char kNvmeofGeneric[] = "nvmeof_generic";
constexpr size_t kMaxTextBytes = 1024;  // of any string but a path
constexpr size_t kMaxPathBytes = 4096;
constexpr char kTrids[] = "nvmeof_generic_trids";
constexpr Json::ArrayIndex kMaxTrids = 16;

Status malformed(std::string_view what) {
    return Status::MalformedJson(what);
}

// A descriptor with every file buffer allowed stays well below.
constexpr JsonBounds kBounds = {kMaxDescriptorBytes, kMaxJsonDepth, 8 * kMaxFileBuffers};

// The readers below leave *out alone where an optional member is missing.
enum class Need { kRequired, kOptional };

Status typeError(const char* key, const char* type) {
    return malformed(std::string("its member '") + key + "' is missing or not " + type);
}

Status readString(const Json::Value& object, const char* key, Need need, size_t max_bytes,
                  std::string* out) {
    const Json::Value* value = object.find(key, key + std::char_traits<char>::length(key));
    if (value == nullptr && need == Need::kOptional) return Status::OK();
    if (value == nullptr || !value->isString()) return typeError(key, "a string");
    const char* begin = nullptr;
    const char* end = nullptr;
    value->getString(&begin, &end);
    const auto size = static_cast<size_t>(end - begin);
    if (size > max_bytes) {
        return malformed(std::string("its member '") + key + "' is longer than " +
                         std::to_string(max_bytes) + " bytes");
    }
    out->assign(begin, size);
    if (out->find('\0') != std::string::npos) {
        return malformed(std::string("its member '") + key + "' holds a zero byte");
    }
    return Status::OK();
}

Status readUnsigned(const Json::Value& object, const char* key, Need need, uint64_t min,
                    uint64_t max, uint64_t* out) {
    const Json::Value* value = object.find(key, key + std::char_traits<char>::length(key));
    if (value == nullptr && need == Need::kOptional) return Status::OK();
    if (value == nullptr || !value->isUInt64()) return typeError(key, "a whole number from 0 up");
    const uint64_t number = value->asUInt64();
    if (number < min || number > max) {
        return malformed(std::string("its member '") + key + "' is " + std::to_string(number) +
                         ", outside " + std::to_string(min) + " to " + std::to_string(max));
    }
    *out = number;
    return Status::OK();
}

Status readInt(const Json::Value& object, const char* key, int* out) {
    const Json::Value* value = object.find(key, key + std::char_traits<char>::length(key));
    if (value == nullptr) return Status::OK();
    if (!value->isInt()) return typeError(key, "a whole number");
    *out = value->asInt();
    return Status::OK();
}

Status readAddress(const Json::Value& value, TransferMetadata::NVMeoFGenericTrid* trid) {
    const std::pair<const char*, std::string*> members[] = {{"trtype", &trid->trtype},
                                                            {"adrfam", &trid->adrfam},
                                                            {"traddr", &trid->traddr},
                                                            {"trsvcid", &trid->trsvcid}};
    for (const auto& [key, text] : members) {
        Status status = readString(value, key, Need::kRequired, kMaxTextBytes, text);
        if (!status.ok()) return status;
    }
    return Status::OK();
}

Status readTrid(const Json::Value& root, TransferMetadata::NVMeoFGenericTrid* trid) {
    constexpr char kKey[] = "nvmeof_generic_trid";
    const Json::Value* value = root.find(kKey, kKey + sizeof(kKey) - 1);
    if (value == nullptr || !value->isObject()) return typeError(kKey, "an object");
    Status status = readAddress(*value, trid);
    if (!status.ok()) return status;
    return readString(*value, "subnqn", Need::kRequired, kMaxTextBytes, &trid->subnqn);
}

// Of the same subsystem as `first`, which they repeat.
Status readTrids(const Json::Value& root, const TransferMetadata::NVMeoFGenericTrid& first,
                 std::vector<TransferMetadata::NVMeoFGenericTrid>* trids) {
    const Json::Value* value = root.find(kTrids, kTrids + sizeof(kTrids) - 1);
    if (value == nullptr) return Status::OK();
    if (!value->isArray()) return typeError(kTrids, "an array");
    if (value->size() > kMaxTrids) {
        return malformed("it has " + std::to_string(value->size()) + " addresses; at most " +
                         std::to_string(kMaxTrids) + " are allowed");
    }
    trids->clear();
    for (const Json::Value& element : *value) {
        if (!element.isObject())
            return malformed("an element of 'nvmeof_generic_trids' is not an object");
        TransferMetadata::NVMeoFGenericTrid trid;
        Status status = readAddress(element, &trid);
        if (!status.ok()) return status;
        trid.subnqn = first.subnqn;
        trids->push_back(std::move(trid));
    }
    return Status::OK();
}

void writeAddress(const TransferMetadata::NVMeoFGenericTrid& trid, Json::Value* value) {
    (*value)["trtype"] = trid.trtype;
    (*value)["adrfam"] = trid.adrfam;
    (*value)["traddr"] = trid.traddr;
    (*value)["trsvcid"] = trid.trsvcid;
}

// What a node of another make puts there is not ours to judge: it counts as none.
bool isUuid(const std::string& text) {
    constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    constexpr std::string_view kDigits = "0123456789abcdef";
    return text.size() == kForm.size() &&
           std::equal(text.begin(), text.end(), kForm.begin(), [&](char c, char form) {
               return form == 'x' ? kDigits.find(c) != kDigits.npos : c == form;
           });
}

std::string readUuid(const Json::Value& value) {
    constexpr char kKey[] = "uuid";
    const Json::Value* found = value.find(kKey, kKey + sizeof(kKey) - 1);
    std::string text = found != nullptr && found->isString() ? found->asString() : "";
    return isUuid(text) ? text : "";
}

Status readFileBuffer(const Json::Value& value, TransferMetadata::FileBufferDesc* file) {
    if (!value.isObject()) return malformed("an element of 'file_buffers' is not an object");
    uint64_t id = 0;
    uint64_t size = 0;
    uint64_t align = 0;
    Status status = readUnsigned(value, "id", Need::kRequired, 1,
                                 std::numeric_limits<TransferMetadata::FileBufferID>::max(), &id);
    if (status.ok()) {
        status = readString(value, "path", Need::kRequired, kMaxPathBytes, &file->path);
    }
    // A file offset is a signed 64-bit number everywhere below.
    if (status.ok()) {
        status = readUnsigned(value, "size", Need::kRequired, 0,
                              std::numeric_limits<int64_t>::max(), &size);
    }
    if (status.ok()) {
        status = readUnsigned(value, "align", Need::kOptional, 0,
                              std::numeric_limits<int64_t>::max(), &align);
    }
    file->id = static_cast<TransferMetadata::FileBufferID>(id);
    file->size = size;
    file->align = align;
    file->uuid = readUuid(value);
    return status;
}

Status readFileBuffers(const Json::Value& root,
                       std::vector<TransferMetadata::FileBufferDesc>* files) {
    constexpr char kKey[] = "file_buffers";
    const Json::Value* value = root.find(kKey, kKey + sizeof(kKey) - 1);
    if (value == nullptr) return Status::OK();  // an initiator without files
    if (!value->isArray()) return typeError(kKey, "an array");
    if (value->size() > kMaxFileBuffers) {
        return malformed("it has " + std::to_string(value->size()) + " file buffers; at most " +
                         std::to_string(kMaxFileBuffers) + " are allowed");
    }
    std::unordered_set<TransferMetadata::FileBufferID> ids;
    files->clear();
    files->reserve(value->size());
    for (const Json::Value& element : *value) {
        TransferMetadata::FileBufferDesc file;
        Status status = readFileBuffer(element, &file);
        if (!status.ok()) return status;
        if (!ids.insert(file.id).second) {
            return malformed("two of its file buffers have the id " + std::to_string(file.id));
        }
        files->push_back(std::move(file));
    }
    return Status::OK();
}

}  // namespace

std::string publicationTime() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    const auto seconds = static_cast<std::time_t>(micros / 1000000);
    std::tm utc = {};
    gmtime_r(&seconds, &utc);
    char date[32] = {};
    std::strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &utc);
    char text[48] = {};
    std::snprintf(text, sizeof(text), "%s.%06dZ", date, static_cast<int>(micros % 1000000));
    return text;
}

std::string encodeSegmentDesc(const TransferMetadata::SegmentDesc& desc,
                              const std::string& timestamp) {
    Json::Value root(Json::objectValue);
    root["name"] = desc.name;
    root["protocol"] = desc.protocol;
    root["tcp_data_port"] = desc.tcp_data_port;
    root["timestamp"] = timestamp;
    if (!desc.incarnation.empty()) root["incarnation"] = desc.incarnation;
    if (desc.protocol == kNvmeofGeneric) {
        Json::Value& trid = root["nvmeof_generic_trid"];
        writeAddress(desc.nvmeof_generic_trid, &trid);
        trid["subnqn"] = desc.nvmeof_generic_trid.subnqn;
        for (const auto& one : desc.nvmeof_generic_trids) {
            writeAddress(one, &root[kTrids].append(Json::Value(Json::objectValue)));
        }
    }
    if (!desc.machine.empty()) root["machine"] = desc.machine;
    if (!desc.kernel.empty()) root["kernel"] = desc.kernel;
    Json::Value& files = root["file_buffers"] = Json::Value(Json::arrayValue);
    for (const auto& file : desc.file_buffers) {
        Json::Value& element = files.append(Json::Value(Json::objectValue));
        element["id"] = file.nsid != 0 ? file.nsid : file.id;
        element["path"] = file.path;
        element["size"] = static_cast<Json::UInt64>(file.size);
        element["align"] = static_cast<Json::UInt64>(file.align);
        if (!file.uuid.empty()) element["uuid"] = file.uuid;
    }
    return writeJson(root);
}

Status decodeSegmentDesc(const std::string& text, TransferMetadata::SegmentDesc* desc) {
    Json::Value root;
    Status status = parseBoundedObject(text, kBounds, &root);
    if (!status.ok()) return status;
    status = readString(root, "name", Need::kRequired, kMaxTextBytes, &desc->name);
    if (status.ok()) {
        status = readString(root, "protocol", Need::kRequired, kMaxTextBytes, &desc->protocol);
    }
    if (status.ok()) {
        status = readString(root, "timestamp", Need::kOptional, kMaxTextBytes, &desc->timestamp);
    }
    if (status.ok()) {
        status =
            readString(root, "incarnation", Need::kOptional, kMaxTextBytes, &desc->incarnation);
    }
    if (status.ok()) {
        status = readString(root, "machine", Need::kOptional, kMaxTextBytes, &desc->machine);
    }
    if (status.ok()) {
        status = readString(root, "kernel", Need::kOptional, kMaxTextBytes, &desc->kernel);
    }
    if (status.ok()) status = readInt(root, "tcp_data_port", &desc->tcp_data_port);
    if (status.ok() && desc->protocol == kNvmeofGeneric) {
        status = readTrid(root, &desc->nvmeof_generic_trid);
        if (status.ok()) {
            status = readTrids(root, desc->nvmeof_generic_trid, &desc->nvmeof_generic_trids);
        }
    }
    if (status.ok()) status = readFileBuffers(root, &desc->file_buffers);
    return status;
}

std::string encodeRpcMeta(const TransferMetadata::RpcMetaDesc& desc) {
    Json::Value root(Json::objectValue);
    root["ip_or_host_name"] = desc.ip_or_host_name;
    root["rpc_port"] = desc.rpc_port;
    if (!desc.incarnation.empty()) root["incarnation"] = desc.incarnation;
    return writeJson(root);
}

Status decodeRpcMeta(const std::string& text, TransferMetadata::RpcMetaDesc* desc) {
    Json::Value root;
    Status status = parseBoundedObject(text, kBounds, &root);
    uint64_t port = 0;
    if (status.ok()) {
        status = readString(root, "ip_or_host_name", Need::kRequired, kMaxTextBytes,
                            &desc->ip_or_host_name);
    }
    if (status.ok()) {
        status = readUnsigned(root, "rpc_port", Need::kRequired, 0,
                              std::numeric_limits<uint16_t>::max(), &port);
    }
    if (status.ok()) {
        status =
            readString(root, "incarnation", Need::kOptional, kMaxTextBytes, &desc->incarnation);
    }
    desc->rpc_port = static_cast<uint16_t>(port);
    return status;
}

}  // namespace mooncake
