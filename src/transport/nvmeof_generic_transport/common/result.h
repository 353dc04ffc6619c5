// SPDX-License-Identifier: Apache-2.0
// The result of a control-path operation inside the plugin: a value, or an error that a person can
// act on.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace mooncake::nvmeof_generic {

/// A failure. `code` is a positive errno value, `message` names the object, the cause and the
/// remedy.
struct Error {
    int code;
    std::string message;
    std::string remedy = {};  ///< the part of the message that says what to do, where there is one
};

/// Builds an Error whose message ends in the text of `code`.
/// @param code  positive errno value, e.g. ENOENT
/// @param what  what was tried, on which object; without a trailing full stop
/// @param remedy  what to do about it, or empty
Error makeError(int code, const std::string& what, const std::string& remedy = "");

/// The error of what failed for want of memory (ENOMEM). Never throws: without memory for a message
/// of its own it says no more than that.
/// @param what  what was tried, on which object
/// @param object  its name
Error outOfMemory(const char* what, std::string_view object) noexcept;

/// A value of type T or an Error. Result<> (T = void) carries success or an Error. One object is
/// not to be changed by two threads at once.
template <class T = void>
class [[nodiscard]] Result {
 public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    /// Only when ok().
    T& value() { return std::get<0>(state_); }
    const T& value() const { return std::get<0>(state_); }
    /// Moves the value out. Only when ok(), and once.
    T take() { return std::move(std::get<0>(state_)); }
    /// Only when not ok().
    const Error& error() const { return std::get<1>(state_); }

 private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
    Result() : error_{0, {}} {}
    Result(Error error) : error_(std::move(error)) {}

    bool ok() const { return error_.code == 0; }
    /// Only when not ok().
    const Error& error() const { return error_; }

 private:
    Error error_;
};

}  // namespace mooncake::nvmeof_generic
