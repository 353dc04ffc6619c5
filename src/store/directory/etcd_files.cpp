// SPDX-License-Identifier: Apache-2.0
#include "etcd_files.h"

#include <glog/logging.h>

#include "record_codec.h"
#include "refusals.h"

namespace mooncake::store {

Result<EtcdFileState> EtcdFiles::state(Deadline deadline) const {
    rpc::TxnRequest request;
    addList(&request, store_->keys.files());
    addList(&request, store_->keys.mounts());
    const auto response = store_->cluster->transact(request, deadline);
    if (!response) return tl::unexpected<Error>(response.error());
    EtcdFileState state;
    state.revision = response->header().revision();
    for (const rpc::KeyValue& one : response->responses(0).response_range().kvs()) {
        const auto number = EtcdKeys::numberAt(one.key());
        const auto record = decodeFile(one.value());
        if (!number || !record) {
            LOG(ERROR) << damagedRecord("a file").message;
            continue;
        }
        state.files[*number] = {*number, record->description, record->state, std::nullopt};
    }
    for (const rpc::KeyValue& one : response->responses(1).response_range().kvs()) {
        const auto number = EtcdKeys::numberAt(one.key());
        const auto file = number ? state.files.find(*number) : state.files.end();
        if (file != state.files.end()) file->second.mount = decodeMount(one.value());
    }
    return state;
}

Result<std::vector<FileInfo>> EtcdFiles::list(Deadline deadline) {
    const auto now = state(deadline);
    if (!now) return tl::unexpected<Error>(now.error());
    std::vector<FileInfo> all;
    for (const auto& [number, file] : now->files) all.push_back(file);
    return all;
}

Result<FileInfo> EtcdFiles::add(const FileDescription& description, Deadline deadline) {
    const std::string by_uuid = store_->keys.number(description.uuid),
                      next = store_->keys.nextNumber();
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, by_uuid);
        addGet(&look, next);
        const auto seen = store_->cluster->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        if (const rpc::KeyValue* known = found(*seen, 0)) {
            const auto number = numberOf(known);
            const auto now = state(deadline);
            if (!now) return tl::unexpected<Error>(now.error());
            const auto file =
                number ? now->files.find(static_cast<FileNumber>(*number)) : now->files.end();
            if (file == now->files.end()) {
                return tl::unexpected<Error>(damagedRecord("a file"));
            }
            // Given up in between: then it gets a new number.
            if (file->second.state != FileState::kActive) continue;
            if (file->second.description != description) return otherDescription(file->second);
            return file->second;
        }
        const auto last = numberOf(found(*seen, 1));
        if (!last) return tl::unexpected<Error>(damagedRecord("file numbers"));
        const auto number = static_cast<FileNumber>(*last + 1);
        rpc::TxnRequest add;
        ifAbsent(&add, by_uuid);
        ifRevision(&add, next, revisionOf(found(*seen, 1)));
        addPut(&add, by_uuid, numberText(number));
        addPut(&add, next, numberText(number));
        addPut(&add, store_->keys.file(number), encodeFile({description, FileState::kActive}));
        const auto added = store_->cluster->transact(add, deadline);
        if (!added) return tl::unexpected<Error>(added.error());
        if (added->succeeded()) return FileInfo{number, description, FileState::kActive, {}};
    }
    return tl::unexpected<Error>(tooLate("a file's number"));
}

Result<> EtcdFiles::mount(FileNumber file, const Mount& mount, Deadline deadline) {
    const ClientId client = mount.client;
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, store_->keys.file(file));
        addGet(&look, store_->keys.mount(file));
        addGet(&look, store_->keys.client(client));
        const auto seen = store_->cluster->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto record = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (!record || record->state != FileState::kActive) return noSuchFile(file);
        const rpc::KeyValue* mounted = found(*seen, 1);
        const auto other = mounted == nullptr ? std::nullopt : decodeMount(mounted->value());
        if (other && other->client != client) {
            return mountedElsewhere({file, record->description, record->state, other});
        }
        if (found(*seen, 2) == nullptr) return leaseLost(client);
        rpc::TxnRequest request;
        ifRevision(&request, store_->keys.file(file), revisionOf(known));
        ifRevision(&request, store_->keys.mount(file), revisionOf(mounted));
        ifThere(&request, store_->keys.client(client));
        addPut(&request, store_->keys.mount(file), encodeMount(mount),
               static_cast<int64_t>(client));
        const auto done = store_->cluster->transact(request, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        if (done->succeeded()) return {};
    }
    return tl::unexpected<Error>(tooLate("file " + std::to_string(file)));
}

Result<> EtcdFiles::unmount(ClientId client, FileNumber file, Deadline deadline) {
    rpc::TxnRequest request;
    ifLease(&request, store_->keys.mount(file), static_cast<int64_t>(client));
    addDelete(&request, store_->keys.mount(file));
    const auto done = store_->cluster->transact(request, deadline);
    if (!done) return tl::unexpected<Error>(done.error());
    return {};
}

Result<> EtcdFiles::giveUp(FileNumber file, Deadline deadline) {
    while (!isLate(deadline)) {
        rpc::TxnRequest look;
        addGet(&look, store_->keys.file(file));
        addGet(&look, store_->keys.mount(file));
        const auto seen = store_->cluster->transact(look, deadline);
        if (!seen) return tl::unexpected<Error>(seen.error());
        const rpc::KeyValue* known = found(*seen, 0);
        const auto record = known == nullptr ? std::nullopt : decodeFile(known->value());
        if (!record) return noSuchFile(file);
        if (const rpc::KeyValue* mounted = found(*seen, 1)) {
            const auto mount = decodeMount(mounted->value());
            return mountedElsewhere(
                {file, record->description, record->state, mount ? *mount : Mount()});
        }
        if (record->state == FileState::kGivenUp) return {};
        rpc::TxnRequest request;
        ifRevision(&request, store_->keys.file(file), revisionOf(known));
        ifAbsent(&request, store_->keys.mount(file));
        addPut(&request, store_->keys.file(file),
               encodeFile({record->description, FileState::kGivenUp}));
        addDelete(&request, store_->keys.number(record->description.uuid));
        addDelete(&request, store_->keys.untouched(file));
        // Nobody takes one of them again.
        for (const std::string& prefix : {store_->keys.regions(file), store_->keys.cleanOnes(file),
                                          store_->keys.touches(file)}) {
            addDeletePrefix(&request, prefix);
        }
        const auto done = store_->cluster->transact(request, deadline);
        if (!done) return tl::unexpected<Error>(done.error());
        if (done->succeeded()) return {};
    }
    return tl::unexpected<Error>(tooLate("file " + std::to_string(file)));
}

Result<std::vector<FreeRegions>> EtcdFiles::freeRegions(Deadline deadline) {
    const auto now = state(deadline);
    if (!now) return tl::unexpected<Error>(now.error());
    std::vector<const FileInfo*> files;
    std::vector<rpc::TxnRequest> requests;
    for (const auto& [number, file] : now->files) {
        if (file.state != FileState::kActive) continue;
        if (files.size() % (kEtcdOperations / 2) == 0) requests.emplace_back();
        files.push_back(&file);
        addGet(&requests.back(), store_->keys.untouched(number));
        addList(&requests.back(), store_->keys.cleanOnes(number))->set_count_only(true);
    }
    const auto responses = store_->cluster->transact(requests, deadline);
    if (!responses) return tl::unexpected<Error>(responses.error());
    std::vector<FreeRegions> free;
    for (size_t i = 0; i < files.size(); ++i) {
        const rpc::TxnResponse& response = (*responses)[i / (kEtcdOperations / 2)];
        const int at = static_cast<int>(i % (kEtcdOperations / 2)) * 2;
        const auto taken = numberOf(found(response, at));
        const int64_t clean = response.responses(at + 1).response_range().count();
        free.push_back({files[i]->number,
                        static_cast<uint32_t>(files[i]->description.regions - taken.value_or(0) +
                                              static_cast<uint64_t>(clean))});
    }
    return free;
}

}  // namespace mooncake::store
