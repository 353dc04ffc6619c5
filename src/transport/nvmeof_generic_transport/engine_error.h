// SPDX-License-Identifier: Apache-2.0
// Failures as the engine hears of them.
#pragma once

#include <glog/logging.h>

#include <cerrno>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/transport.h"

namespace mooncake::nvmeof_generic {

inline constexpr char kProtocol[] = "nvmeof_generic";

// What the engine's headers have for a failure of each kind.
inline int engineCode(const Error& error) {
    switch (error.code) {
        case EINVAL:
        case EEXIST:
        case ENOENT:
        case EISDIR:
            return ERR_INVALID_ARGUMENT;
        default:
            return ERR_CONTEXT;
    }
}

/// Logs a failure. @return what the engine is told
inline int report(const std::string& what, const Error& error) {
    LOG(ERROR) << kProtocol << ": " << what << ": " << error.message;
    return engineCode(error);
}

}  // namespace mooncake::nvmeof_generic
