// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <vector>

#include "machine_check.h"

namespace mooncake::nvmeof_generic::admin {

/// For people: one line a check, and below it what to do.
void printText(const std::vector<Check>& checks, std::ostream& out);

/// For programs: one JSON object.
void printJson(const std::vector<Check>& checks, std::ostream& out);

/// Whether nothing failed; warnings do not count.
bool passed(const std::vector<Check>& checks);

}  // namespace mooncake::nvmeof_generic::admin
