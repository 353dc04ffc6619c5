// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

namespace mooncake {

std::string Status::ToString() const {
    if (ok()) return "OK";
    return std::string(CodeToString(code_)) + ": " + std::string(message());
}

std::string_view Status::CodeToString(Code code) {
    switch (code) {
        case Code::kOk:
            return "OK";
        case Code::kInvalidArgument:
            return "InvalidArgument";
        case Code::kTooManyRequests:
            return "TooManyRequests";
        case Code::kAddressNotRegistered:
            return "AddressNotRegistered";
        case Code::kBatchBusy:
            return "BatchBusy";
        case Code::kDeviceNotFound:
            return "DeviceNotFound";
        case Code::kAddressOverlapped:
            return "AddressOverlapped";
        case Code::kNotSupportedTransport:
            return "NotSupportedTransport";
        case Code::kDns:
            return "Dns";
        case Code::kSocket:
            return "Socket";
        case Code::kMalformedJson:
            return "MalformedJson";
        case Code::kRejectHandshake:
            return "RejectHandshake";
        case Code::kMetadata:
            return "Metadata";
        case Code::kEndpoint:
            return "Endpoint";
        case Code::kContext:
            return "Context";
        case Code::kNuma:
            return "Numa";
        case Code::kClock:
            return "Clock";
        case Code::kMemory:
            return "Memory";
        case Code::kNotImplemented:
            return "NotImplemented";
        case Code::kMaxCode:
            break;
    }
    return "UnknownCode";
}

std::ostream& operator<<(std::ostream& os, Status::Code code) {
    return os << Status::CodeToString(code);
}

std::ostream& operator<<(std::ostream& os, const Status& status) {
    return os << status.ToString();
}

}  // namespace mooncake
