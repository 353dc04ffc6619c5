// SPDX-License-Identifier: Apache-2.0
// The store's client as this tool makes it, and its errors as the tool tells them.
#pragma once

#include <memory>
#include <string>

#include "command_line.h"
#include "error.h"
#include "mooncake_store/client.h"

namespace mooncake::store::tool {

// One that serves no files.
Result<std::shared_ptr<Client>> makeClient(const CommandLine& line);

// @param what  what was to be done
tl::unexpected<Error> clientFailed(const std::string& what, ErrorCode code);

// The key that was given on the command line. kInvalid for one that is written wrongly.
Result<std::string> keyOf(const std::string& text);

}  // namespace mooncake::store::tool
