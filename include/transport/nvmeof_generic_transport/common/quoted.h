// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace mooncake::nvmeof_generic {

/// Text of unknown origin in a form that is safe in a log line: in quotes, unprintable bytes as
/// '?', cut after 256 bytes.
std::string quoted(std::string_view text);

}  // namespace mooncake::nvmeof_generic
