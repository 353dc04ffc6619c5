// SPDX-License-Identifier: Apache-2.0
// If-Match and If-None-Match (RFC 9110, 13.1): changes that are made only to what the client has
// seen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "key_value_store.h"

namespace mooncake {

// What the headers ask for; null where there are none. A value of a header is "*" or a list of
// entity tags; one that is neither names no tag. If-Match holds where the entry has one of its tags
// ("*": any), If-None-Match where it has none of them ("*": where there is no entry). Tags are the
// store's, in double quotes; weak ones (W/"...") match in If-None-Match only.
KeyValueStore::Condition preconditionsFrom(const std::vector<std::string>& if_match,
                                           const std::vector<std::string>& if_none_match);

// The tag as it stands in a header.
std::string entityTag(std::string_view tag);

}  // namespace mooncake
