// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace mooncake::nvmeof_generic {

/// Text of unknown origin in a form that is safe in a log line: in quotes, unprintable bytes as
/// '?', cut after 256 bytes, and before a DH-HMAC-CHAP key, which somebody may give in place of its
/// file. Thread-safe.
std::string inQuotes(std::string_view text);

}  // namespace mooncake::nvmeof_generic
