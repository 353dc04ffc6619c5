// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/result.h"

#include <cerrno>
#include <new>
#include <system_error>

namespace mooncake::nvmeof_generic {

Error makeError(int code, const std::string& what, const std::string& remedy) {
    std::string message = what + ": " + std::generic_category().message(code);
    if (!remedy.empty()) message += " (" + remedy + ")";
    return {code, std::move(message), remedy};
}

Error outOfMemory(const char* what, std::string_view object) noexcept {
    try {
        return makeError(ENOMEM, what + (" " + std::string(object)),
                         "raise the limit of memory that is reached: memory.max of the cgroup "
                         "(MemoryMax of a systemd unit, --memory of a container) or ulimit -v");
    } catch (const std::bad_alloc&) {
        return {ENOMEM, "out of memory"};  // so short that it needs none
    }
}

}  // namespace mooncake::nvmeof_generic
