// SPDX-License-Identifier: Apache-2.0
#include "copied_writes.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace mooncake::nvmeof_generic {

bool mustCopyWrites(const std::string& kernelRelease, const RemoteDescriptor& target) {
    const bool overTcp = std::any_of(target.addresses.begin(), target.addresses.end(),
                                     [](const auto& address) { return address.trtype == "tcp"; });
    if (!overTcp || target.onAnotherKernel) return false;
    unsigned major = 0, minor = 0;
    const bool known = sscanf(kernelRelease.c_str(), "%u.%u", &major, &minor) == 2;
    return !known || std::pair(major, minor) < std::pair(6U, 5U);
}

}  // namespace mooncake::nvmeof_generic
