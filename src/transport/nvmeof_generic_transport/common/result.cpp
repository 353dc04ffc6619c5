// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/result.h"

#include <system_error>

namespace mooncake::nvmeof_generic {

Error makeError(int code, const std::string& what, const std::string& remedy) {
    std::string message = what + ": " + std::generic_category().message(code);
    if (!remedy.empty()) message += " (" + remedy + ")";
    return {code, std::move(message), remedy};
}

}  // namespace mooncake::nvmeof_generic
