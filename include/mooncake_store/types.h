// SPDX-License-Identifier: Apache-2.0
// What the store's calls take and give.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>

namespace mooncake {

// A run of the caller's memory. An object is what a list of slices holds, one after the other.
struct Slice {
    void* ptr;
    size_t size;  // bytes
};

// What was found of an object's copies.
struct CopyCounts {
    uint32_t right = 0;        // that have the bytes that were put
    uint32_t damaged = 0;      // that had others
    uint32_t unreachable = 0;  // that no node serves, or that could not be read
};

// What became of a call. The numbers agree with those of Mooncake's store.
enum class ErrorCode : int32_t {
    OK = 0,
    INTERNAL_ERROR = -1,
    SEGMENT_NOT_FOUND = -101,
    SEGMENT_ALREADY_EXISTS = -102,
    NO_AVAILABLE_HANDLE = -200,  // no space
    INVALID_VERSION = -300,
    INVALID_KEY = -400,
    WRITE_FAIL = -500,
    INVALID_PARAMS = -600,
    REPLICA_IS_NOT_READY = -703,
    OBJECT_NOT_FOUND = -704,
    OBJECT_ALREADY_EXISTS = -705,
    OBJECT_HAS_LEASE = -706,
    LEASE_EXPIRED = -707,
    TRANSFER_FAIL = -800,
    CHECKSUM_MISMATCH = -801,
    RPC_FAIL = -900,
    RPC_TIMEOUT = -901,
    ETCD_OPERATION_ERROR = -1000,
    UNAVAILABLE_IN_CURRENT_STATUS = -1010,
    NOT_SUPPORTED = -1012,
    FILE_NOT_FOUND = -1100,
    FILE_OPEN_FAIL = -1101,
    FILE_READ_FAIL = -1102,
    FILE_WRITE_FAIL = -1103,
};

inline int32_t toInt(ErrorCode code) noexcept {
    return static_cast<int32_t>(code);
}

// The code's name; "UNKNOWN_ERROR" for a number that is none. Valid for ever.
const std::string& toString(ErrorCode code) noexcept;

std::ostream& operator<<(std::ostream& out, ErrorCode code);

}  // namespace mooncake
