// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>

namespace mooncake::nvmeof_generic::admin {

/// Of every JSON object that the program prints; raised when a member changes its meaning or goes.
inline constexpr int kJsonSchema = 1;

/// What a program gets in place of what it asked for.
/// @param code  stays as it is: "usage", "no_answer", or the name of an errno value
void printJsonError(const std::string& code, const std::string& message, std::ostream& out);

}  // namespace mooncake::nvmeof_generic::admin
