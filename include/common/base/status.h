// SPDX-License-Identifier: Apache-2.0
// Status: what a call came to, by value. A good status costs no allocation.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace mooncake {

// Thread rule: like std::string, one object is not to be changed by two threads at once.
class Status final {
 public:
    // The numbers agree with Mooncake's, so that they may be logged and compared across both
    // engines.
    enum class Code : uint16_t {
        kOk = 0,
        kInvalidArgument = 1,
        kTooManyRequests = 2,
        kAddressNotRegistered = 3,
        kBatchBusy = 4,
        kDeviceNotFound = 6,
        kAddressOverlapped = 7,
        kNotSupportedTransport = 8,
        kDns = 101,
        kSocket = 102,
        kMalformedJson = 103,
        kRejectHandshake = 104,
        kMetadata = 200,
        kEndpoint = 201,
        kContext = 202,
        kNuma = 300,
        kClock = 301,
        kMemory = 302,
        kNotImplemented = 999,
        kMaxCode
    };

    Status() = default;
    ~Status() = default;

    // The message of a good status is dropped: all good statuses are equal.
    Status(Code code, std::string_view message)
        : code_(code),
          message_(code == Code::kOk || message.empty()
                       ? nullptr
                       : std::make_unique<const std::string>(message)) {}

    Status(const Status& other)
        : code_(other.code_),
          message_(other.message_ ? std::make_unique<const std::string>(*other.message_)
                                  : nullptr) {}
    Status& operator=(const Status& other) {
        if (this != &other) *this = Status(other);
        return *this;
    }
    // What was moved from is a good status.
    Status(Status&& other) noexcept
        : code_(std::exchange(other.code_, Code::kOk)), message_(std::move(other.message_)) {}
    Status& operator=(Status&& other) noexcept {
        if (this != &other) {
            code_ = std::exchange(other.code_, Code::kOk);
            message_ = std::move(other.message_);
        }
        return *this;
    }

    Code code() const { return code_; }

    // Valid until this object is changed or destroyed; empty where there is none.
    std::string_view message() const {
        return message_ ? std::string_view(*message_) : std::string_view();
    }

    [[nodiscard]] bool ok() const { return code_ == Code::kOk; }
    [[nodiscard]] bool IsInvalidArgument() const { return code_ == Code::kInvalidArgument; }
    [[nodiscard]] bool IsTooManyRequests() const { return code_ == Code::kTooManyRequests; }
    [[nodiscard]] bool IsAddressNotRegistered() const {
        return code_ == Code::kAddressNotRegistered;
    }
    [[nodiscard]] bool IsBatchBusy() const { return code_ == Code::kBatchBusy; }
    [[nodiscard]] bool IsDeviceNotFound() const { return code_ == Code::kDeviceNotFound; }
    [[nodiscard]] bool IsAddressOverlapped() const { return code_ == Code::kAddressOverlapped; }
    [[nodiscard]] bool IsNotSupportedTransport() const {
        return code_ == Code::kNotSupportedTransport;
    }
    [[nodiscard]] bool IsDns() const { return code_ == Code::kDns; }
    [[nodiscard]] bool IsSocket() const { return code_ == Code::kSocket; }
    [[nodiscard]] bool IsMalformedJson() const { return code_ == Code::kMalformedJson; }
    [[nodiscard]] bool IsRejectHandshake() const { return code_ == Code::kRejectHandshake; }
    [[nodiscard]] bool IsMetadata() const { return code_ == Code::kMetadata; }
    [[nodiscard]] bool IsEndpoint() const { return code_ == Code::kEndpoint; }
    [[nodiscard]] bool IsContext() const { return code_ == Code::kContext; }
    [[nodiscard]] bool IsNuma() const { return code_ == Code::kNuma; }
    [[nodiscard]] bool IsClock() const { return code_ == Code::kClock; }
    [[nodiscard]] bool IsMemory() const { return code_ == Code::kMemory; }
    [[nodiscard]] bool IsNotImplemented() const { return code_ == Code::kNotImplemented; }

    // "OK", or the code's name, a colon and the message.
    std::string ToString() const;

    bool operator==(const Status& other) const {
        return code_ == other.code_ && message() == other.message();
    }
    bool operator!=(const Status& other) const { return !(*this == other); }

    static Status OK() { return {}; }
    static Status InvalidArgument(std::string_view msg) { return {Code::kInvalidArgument, msg}; }
    static Status TooManyRequests(std::string_view msg) { return {Code::kTooManyRequests, msg}; }
    static Status AddressNotRegistered(std::string_view msg) {
        return {Code::kAddressNotRegistered, msg};
    }
    static Status BatchBusy(std::string_view msg) { return {Code::kBatchBusy, msg}; }
    static Status DeviceNotFound(std::string_view msg) { return {Code::kDeviceNotFound, msg}; }
    static Status AddressOverlapped(std::string_view msg) {
        return {Code::kAddressOverlapped, msg};
    }
    static Status NotSupportedTransport(std::string_view msg) {
        return {Code::kNotSupportedTransport, msg};
    }
    static Status Dns(std::string_view msg) { return {Code::kDns, msg}; }
    static Status Socket(std::string_view msg) { return {Code::kSocket, msg}; }
    static Status MalformedJson(std::string_view msg) { return {Code::kMalformedJson, msg}; }
    static Status RejectHandshake(std::string_view msg) { return {Code::kRejectHandshake, msg}; }
    static Status Metadata(std::string_view msg) { return {Code::kMetadata, msg}; }
    static Status Endpoint(std::string_view msg) { return {Code::kEndpoint, msg}; }
    static Status Context(std::string_view msg) { return {Code::kContext, msg}; }
    static Status Numa(std::string_view msg) { return {Code::kNuma, msg}; }
    static Status Clock(std::string_view msg) { return {Code::kClock, msg}; }
    static Status Memory(std::string_view msg) { return {Code::kMemory, msg}; }
    static Status NotImplemented(std::string_view msg) { return {Code::kNotImplemented, msg}; }

    // The name of the code, "UnknownCode" for a number that is none.
    static std::string_view CodeToString(Code code);

 private:
    Code code_ = Code::kOk;
    std::unique_ptr<const std::string> message_;
};

std::ostream& operator<<(std::ostream& os, Status::Code code);
std::ostream& operator<<(std::ostream& os, const Status& status);

}  // namespace mooncake
