// SPDX-License-Identifier: Apache-2.0
#include "etcd_keys.h"

#include <charconv>

#include "key_range.h"

namespace mooncake::store {

namespace {

constexpr size_t kDigits = 8;

rpc::Compare* addCompare(rpc::TxnRequest* request, const std::string& key,
                         rpc::Compare::CompareTarget target) {
    rpc::Compare* compare = request->add_compare();
    compare->set_key(key);
    compare->set_target(target);
    compare->set_result(rpc::Compare::EQUAL);
    return compare;
}

}  // namespace

std::string EtcdKeys::hex(uint32_t number) {
    constexpr char kHex[] = "0123456789abcdef";
    std::string text(kDigits, '0');
    for (size_t i = 0; i < kDigits; ++i) text[i] = kHex[number >> (4 * (kDigits - 1 - i)) & 15];
    return text;
}

std::optional<uint32_t> EtcdKeys::numberAt(std::string_view key, size_t from_end) {
    if (key.size() < kDigits + from_end) return std::nullopt;
    const std::string_view digits = key.substr(key.size() - kDigits - from_end, kDigits);
    uint32_t number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + kDigits, number, 16);
    if (read.ptr != digits.data() + kDigits) return std::nullopt;
    return number;
}

void addPut(rpc::TxnRequest* request, const std::string& key, const std::string& value,
            int64_t lease) {
    rpc::PutRequest* put = request->add_success()->mutable_request_put();
    put->set_key(key);
    put->set_value(value);
    put->set_lease(lease);
}

void addDelete(rpc::TxnRequest* request, const std::string& key) {
    request->add_success()->mutable_request_delete_range()->set_key(key);
}

void addDeletePrefix(rpc::TxnRequest* request, const std::string& prefix) {
    rpc::DeleteRangeRequest* range = request->add_success()->mutable_request_delete_range();
    range->set_key(prefix);
    range->set_range_end(endOfPrefix(prefix));
}

rpc::RangeRequest* addGet(rpc::TxnRequest* request, const std::string& key) {
    rpc::RangeRequest* range = request->add_success()->mutable_request_range();
    range->set_key(key);
    return range;
}

rpc::RangeRequest* addList(rpc::TxnRequest* request, const std::string& prefix) {
    rpc::RangeRequest* range = addGet(request, prefix);
    range->set_range_end(endOfPrefix(prefix));
    return range;
}

void addGetElse(rpc::TxnRequest* request, const std::string& key) {
    request->add_failure()->mutable_request_range()->set_key(key);
}

void ifThere(rpc::TxnRequest* request, const std::string& key) {
    rpc::Compare* compare = addCompare(request, key, rpc::Compare::VERSION);
    compare->set_result(rpc::Compare::GREATER);
    compare->set_version(0);
}

void ifAbsent(rpc::TxnRequest* request, const std::string& key) {
    addCompare(request, key, rpc::Compare::CREATE)->set_create_revision(0);
}

void ifRevision(rpc::TxnRequest* request, const std::string& key, int64_t revision) {
    addCompare(request, key, rpc::Compare::MOD)->set_mod_revision(revision);
}

void ifValue(rpc::TxnRequest* request, const std::string& key, const std::string& value) {
    addCompare(request, key, rpc::Compare::VALUE)->set_value(value);
}

void ifLease(rpc::TxnRequest* request, const std::string& key, int64_t lease) {
    addCompare(request, key, rpc::Compare::LEASE)->set_lease(lease);
}

const rpc::KeyValue* found(const rpc::TxnResponse& response, int at) {
    if (at >= response.responses_size()) return nullptr;
    const rpc::RangeResponse& range = response.responses(at).response_range();
    return range.kvs_size() == 0 ? nullptr : &range.kvs(0);
}

}  // namespace mooncake::store
