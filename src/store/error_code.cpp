// SPDX-License-Identifier: Apache-2.0
#include <unordered_map>

#include "mooncake_store/types.h"

namespace mooncake {

const std::string& toString(ErrorCode code) noexcept {
    using Code = ErrorCode;
    static const auto* const kNames = new std::unordered_map<Code, std::string>{
        {Code::OK, "OK"},
        {Code::INTERNAL_ERROR, "INTERNAL_ERROR"},
        {Code::SEGMENT_NOT_FOUND, "SEGMENT_NOT_FOUND"},
        {Code::SEGMENT_ALREADY_EXISTS, "SEGMENT_ALREADY_EXISTS"},
        {Code::NO_AVAILABLE_HANDLE, "NO_AVAILABLE_HANDLE"},
        {Code::INVALID_VERSION, "INVALID_VERSION"},
        {Code::INVALID_KEY, "INVALID_KEY"},
        {Code::WRITE_FAIL, "WRITE_FAIL"},
        {Code::INVALID_PARAMS, "INVALID_PARAMS"},
        {Code::REPLICA_IS_NOT_READY, "REPLICA_IS_NOT_READY"},
        {Code::OBJECT_NOT_FOUND, "OBJECT_NOT_FOUND"},
        {Code::OBJECT_ALREADY_EXISTS, "OBJECT_ALREADY_EXISTS"},
        {Code::OBJECT_HAS_LEASE, "OBJECT_HAS_LEASE"},
        {Code::LEASE_EXPIRED, "LEASE_EXPIRED"},
        {Code::TRANSFER_FAIL, "TRANSFER_FAIL"},
        {Code::CHECKSUM_MISMATCH, "CHECKSUM_MISMATCH"},
        {Code::RPC_FAIL, "RPC_FAIL"},
        {Code::RPC_TIMEOUT, "RPC_TIMEOUT"},
        {Code::ETCD_OPERATION_ERROR, "ETCD_OPERATION_ERROR"},
        {Code::UNAVAILABLE_IN_CURRENT_STATUS, "UNAVAILABLE_IN_CURRENT_STATUS"},
        {Code::NOT_SUPPORTED, "NOT_SUPPORTED"},
        {Code::FILE_NOT_FOUND, "FILE_NOT_FOUND"},
        {Code::FILE_OPEN_FAIL, "FILE_OPEN_FAIL"},
        {Code::FILE_READ_FAIL, "FILE_READ_FAIL"},
        {Code::FILE_WRITE_FAIL, "FILE_WRITE_FAIL"},
    };
    static const auto* const kUnknown = new std::string("UNKNOWN_ERROR");
    const auto found = kNames->find(code);
    return found == kNames->end() ? *kUnknown : found->second;
}

std::ostream& operator<<(std::ostream& out, ErrorCode code) {
    return out << toString(code);
}

}  // namespace mooncake
