// SPDX-License-Identifier: Apache-2.0
// Where what stands in etcd, and the parts of its transactions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "etcd_rpc.pb.h"
#include "ids.h"

namespace mooncake::store {

namespace rpc = ::etcdserverpb;

// All below "mooncake_store/<store>/". Numbers are eight hexadecimal digits, so that keys in order
// are numbers in order.
class EtcdKeys {
 public:
    explicit EtcdKeys(const std::string& store) : base_("mooncake_store/" + store + "/") {}

    std::string id() const { return base_ + "id"; }
    std::string client(ClientId id) const { return base_ + "c/" + std::to_string(id); }
    std::string clients() const { return base_ + "c/"; }
    std::string nextNumber() const { return base_ + "next"; }
    std::string number(const Uuid& uuid) const { return base_ + "n/" + uuid.text(); }
    // What is watched: files, mounts and regions.
    std::string state() const { return base_ + "s/"; }
    std::string files() const { return base_ + "s/f/"; }
    std::string file(FileNumber number) const { return files() + hex(number); }
    std::string mounts() const { return base_ + "s/m/"; }
    std::string mount(FileNumber number) const { return mounts() + hex(number); }
    std::string regions(FileNumber file) const { return base_ + "s/r/" + hex(file) + "/"; }
    std::string region(RegionId id) const { return regions(id.file) + hex(id.index); }
    // The clean regions that were taken before; the value is the generation.
    std::string cleanOnes(FileNumber file) const { return base_ + "f/" + hex(file) + "/"; }
    std::string clean(RegionId id) const { return cleanOnes(id.file) + hex(id.index); }
    // How many regions of the file were ever taken.
    std::string untouched(FileNumber file) const { return base_ + "h/" + hex(file); }
    // The revision of the key is when the region was read.
    std::string touches(FileNumber file) const { return base_ + "t/" + hex(file) + "/"; }
    std::string touch(RegionId id) const { return touches(id.file) + hex(id.index); }
    // Put with every commit, for etcd's sake (EtcdCommit::cut).
    std::string written() const { return base_ + "written"; }
    std::string objects() const { return base_ + "o/"; }
    std::string object(std::string_view key) const { return objects().append(key); }

    static std::string hex(uint32_t number);
    // The number at the end of a key.
    static std::optional<uint32_t> numberAt(std::string_view key, size_t from_end = 0);

 private:
    const std::string base_;
};

void addPut(rpc::TxnRequest* request, const std::string& key, const std::string& value,
            int64_t lease = 0);
void addDelete(rpc::TxnRequest* request, const std::string& key);
void addDeletePrefix(rpc::TxnRequest* request, const std::string& prefix);
// Of the answers in the order in which they were added.
rpc::RangeRequest* addGet(rpc::TxnRequest* request, const std::string& key);
rpc::RangeRequest* addList(rpc::TxnRequest* request, const std::string& prefix);
// For the case that a comparison fails.
void addGetElse(rpc::TxnRequest* request, const std::string& key);

void ifThere(rpc::TxnRequest* request, const std::string& key);
void ifAbsent(rpc::TxnRequest* request, const std::string& key);
// 0: absent.
void ifRevision(rpc::TxnRequest* request, const std::string& key, int64_t revision);
void ifValue(rpc::TxnRequest* request, const std::string& key, const std::string& value);
void ifLease(rpc::TxnRequest* request, const std::string& key, int64_t lease);

// The answer to a get; none where there was no such key.
const rpc::KeyValue* found(const rpc::TxnResponse& response, int at);

}  // namespace mooncake::store
