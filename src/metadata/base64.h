// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, section 4), in which etcd's gateway writes keys and values.
#pragma once

#include <string>
#include <string_view>

namespace mooncake {

std::string base64Encode(std::string_view bytes);
// False, with *bytes unspecified, for what is not base64 with padding. Thread-safe, as the above.
bool base64Decode(std::string_view text, std::string* bytes);

}  // namespace mooncake
