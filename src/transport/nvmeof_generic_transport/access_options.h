// SPDX-License-Identifier: Apache-2.0
// The options that say who may connect to a target, from the environment or the argument string.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {

/// Takes host NQNs separated by commas, at least one.
/// @return EINVAL; the message says what is expected, or what is wrong with which NQN
Result<> takeHostList(std::string_view value, std::vector<std::string>& hosts);

/// Takes the absolute path of a file or folder. Nothing is opened.
/// @return EINVAL; the message says what is expected
Result<> takePath(std::string_view value, std::string& path);

struct TargetAddresses {
    TransportAddresses listen;
    TransportAddresses published;  ///< as many
};

/// Reads the transport's argument string: the addresses (see parseAddresses()) and, in any order
/// among their fields, advertise= (see publishedAddresses()), allowed_hosts=, allowed_hosts_file=,
/// dhchap_keys= and path_check=<on|off>. A value cannot hold a blank.
/// @param target  what is given here replaces what it holds
/// @return EINVAL that names the argument, its value and what it takes; `target` is unchanged then
Result<TargetAddresses> readArguments(std::string_view text, TargetOptions& target);

/// Takes "on" or "off".
/// @return EINVAL; the message says what is expected
Result<> takePathCheck(std::string_view value, PathCheck& check);

}  // namespace mooncake::nvmeof_generic
