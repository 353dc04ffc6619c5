// SPDX-License-Identifier: Apache-2.0
// How the parts of the store tell that something did not work: a value, or an error that a person
// can act on.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace mooncake::store {

// What a caller can do about a failure; the message has the rest.
enum class Failure {
    kInvalid,      // the call itself is wrong; repeating it does not help
    kNotFound,     // what it names does not exist
    kConflict,     // somebody else has it, or has changed it since
    kLeaseLost,    // this client is no longer one: its regions may be another's
    kTimeout,      // the limit of time passed; a change may have happened or may yet happen
    kUnavailable,  // what it needs cannot be reached; a change may have happened, as with kTimeout
    kNoSpace,      // there is no room in a file or on a disk
    kFull,         // the directory takes nothing more, and nothing that the store does changes that
    kRefused,      // not permitted: a login, a right, a certificate
    kDamaged,      // what was read is not what was written
    kUnsupported,  // of another version, or not what this can work with
    kInternal,     // none of these
};

// "not found" and the like, for a message.
std::string_view toString(Failure failure);

// A failure. `message` names the thing, the cause and the remedy.
struct Error {
    Failure failure;
    std::string message;
};

template <class T = void>
using Result = tl::expected<T, Error>;

// For "return failed(Failure::kNotFound, ...)" from a function with any Result.
inline tl::unexpected<Error> failed(Failure failure, std::string message) {
    return tl::unexpected<Error>(Error{failure, std::move(message)});
}

// Runs `work`, which returns a Result. What it throws, as the standard library does without memory,
// is kInternal. For whoever has to set something right afterwards, or is the last on its thread.
template <class Work>
auto withoutThrowing(const Work& work) -> decltype(work()) {
    try {
        return work();
    } catch (const std::bad_alloc&) {
        return failed(Failure::kInternal, "out of memory");  // short: it takes none
    } catch (const std::exception& why) {
        return failed(Failure::kInternal, why.what());
    }
}

}  // namespace mooncake::store
