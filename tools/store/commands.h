// SPDX-License-Identifier: Apache-2.0
// The commands. Each prints what it has to tell, a table or JSON, and gives whether all is well;
// an error is told by the caller.
#pragma once

#include "command_line.h"
#include "output.h"
#include "pool.h"

namespace mooncake::store::tool {

Result<bool> status(const Asked& asked, const CommandLine& line, Output& output);
Result<bool> list(const Asked& asked, const CommandLine& line, Output& output);
Result<bool> check(const Asked& asked, const CommandLine& line, Output& output);
Result<bool> evict(const Asked& asked, const CommandLine& line, Output& output);
Result<bool> forget(const Asked& asked, const CommandLine& line, Output& output);

// These are clients of the store.
Result<bool> get(const CommandLine& line, Output& output);
Result<bool> put(const CommandLine& line, Output& output);
Result<bool> verify(const CommandLine& line, Output& output);

// Opens the directory itself, which may not be there yet.
Result<bool> rebuild(const CommandLine& line, Output& output);

}  // namespace mooncake::store::tool
