// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <glog/logging.h>

namespace mooncake::store {
namespace {

std::string& ofThread() {
    thread_local std::string message;
    return message;
}

}  // namespace

ErrorCode codeOf(Failure failure) {
    switch (failure) {
        case Failure::kInvalid:
        case Failure::kRefused:
            return ErrorCode::INVALID_PARAMS;
        case Failure::kNotFound:
            return ErrorCode::OBJECT_NOT_FOUND;
        case Failure::kConflict:
            return ErrorCode::SEGMENT_ALREADY_EXISTS;
        case Failure::kLeaseLost:
            return ErrorCode::LEASE_EXPIRED;
        case Failure::kTimeout:
            return ErrorCode::RPC_TIMEOUT;
        case Failure::kUnavailable:
            return ErrorCode::RPC_FAIL;
        case Failure::kNoSpace:
        case Failure::kFull:
            return ErrorCode::NO_AVAILABLE_HANDLE;
        case Failure::kDamaged:
            return ErrorCode::FILE_READ_FAIL;
        case Failure::kUnsupported:
            return ErrorCode::INVALID_VERSION;
        case Failure::kInternal:
            return ErrorCode::INTERNAL_ERROR;
    }
    return ErrorCode::INTERNAL_ERROR;
}

tl::unexpected<ErrorCode> report(ErrorCode code, const std::string& message) {
    ofThread() = message;
    // A full pool says the same of each object.
    LOG_EVERY_T(WARNING, 0.1) << "store: " << message;
    return tl::unexpected(code);
}

tl::unexpected<ErrorCode> report(const Error& error) {
    return report(codeOf(error.failure), error.message);
}

const std::string& lastError() {
    return ofThread();
}

}  // namespace mooncake::store
