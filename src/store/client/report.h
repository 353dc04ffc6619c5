// SPDX-License-Identifier: Apache-2.0
// From the parts' errors to those of the public interface.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "error.h"
#include "mooncake_store/types.h"

namespace mooncake::store {

ErrorCode codeOf(Failure failure);

// Remembers the message as this thread's last one, and logs it.
tl::unexpected<ErrorCode> report(ErrorCode code, const std::string& message);
tl::unexpected<ErrorCode> report(const Error& error);

// Of this thread.
const std::string& lastError();

}  // namespace mooncake::store
