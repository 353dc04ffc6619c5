// SPDX-License-Identifier: Apache-2.0
// How the bench ends, and why.
#pragma once

#include <optional>
#include <string>

namespace mooncake::bench {

/// Exit statuses of the program.
enum class ExitCode : int {
    kOk = 0,
    kUsage = 1,         ///< a flag, or a flag that does not fit the files
    kIoError = 2,       ///< engine, metadata, connection, or a request that did not complete
    kVerification = 3,  ///< data that is not what was written
};

/// What went wrong, for people: the thing, the cause and the remedy.
struct Failure {
    ExitCode code;
    std::string message;
};

/// The result of a step that yields nothing but its success.
using MaybeFailure = std::optional<Failure>;

}  // namespace mooncake::bench
