// SPDX-License-Identifier: Apache-2.0
// A status that keeps its message in memory of its own, as a pointer.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace mooncake {

class Status final {
 public:
    enum class Code : uint16_t {
        kOk = 0,
        kInvalidArgument = 1,
        kTooManyRequests = 2,
        kBatchBusy = 4,
        kDeviceNotFound = 6,
        kNotSupportedTransport = 8,
        kMemory = 302,
        kNotImplemented = 999
    };

    Status() = default;
    ~Status() { delete[] message_; }
    Status(Code code, std::string_view message);
    Status(const Status& other);
    Status& operator=(const Status& other);
    Status(Status&& other);
    Status& operator=(Status&& other);

    Code code() const { return code_; }
    std::string_view message() const {
        return message_ == nullptr ? std::string_view() : std::string_view(message_);
    }
    [[nodiscard]] bool ok() const { return code_ == Code::kOk; }
    std::string ToString() const;

    static Status OK() { return Status(); }
    static Status InvalidArgument(std::string_view msg) {
        return Status(Code::kInvalidArgument, msg);
    }
    static Status TooManyRequests(std::string_view msg) {
        return Status(Code::kTooManyRequests, msg);
    }
    static Status BatchBusy(std::string_view msg) { return Status(Code::kBatchBusy, msg); }
    static Status DeviceNotFound(std::string_view msg) {
        return Status(Code::kDeviceNotFound, msg);
    }
    static Status NotSupportedTransport(std::string_view msg) {
        return Status(Code::kNotSupportedTransport, msg);
    }
    static Status Memory(std::string_view msg) { return Status(Code::kMemory, msg); }
    static Status NotImplemented(std::string_view msg) {
        return Status(Code::kNotImplemented, msg);
    }

 private:
    Code code_ = Code::kOk;
    const char* message_ = nullptr;
};

std::ostream& operator<<(std::ostream& os, const Status& status);

}  // namespace mooncake
