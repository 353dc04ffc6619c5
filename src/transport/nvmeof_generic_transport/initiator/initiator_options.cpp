// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"

#include <cerrno>

#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {

Result<> checkInitiatorOptions(const InitiatorOptions& options) {
    constexpr std::chrono::seconds kDay{86400};
    const struct {
        const char* name;
        std::chrono::seconds value;
    } times[] = {{"connectTimeout", options.connectTimeout},
                 {"keepAlive", options.keepAlive},
                 {"reconnectDelay", options.reconnectDelay},
                 {"fastIoFail", options.fastIoFail},
                 {"controllerLoss", options.controllerLoss}};
    for (const auto& [name, value] : times) {
        if (value.count() < 1 || value > kDay) {
            return makeError(
                EINVAL,
                std::string("initiator option ") + name + " is " + std::to_string(value.count()),
                "it takes 1 to 86400 seconds");
        }
    }
    if (options.controllerLoss < options.fastIoFail ||
        options.controllerLoss < options.reconnectDelay) {
        return makeError(
            EINVAL,
            "initiator option controllerLoss is " + std::to_string(options.controllerLoss.count()),
            "it must not be below fastIoFail (" + std::to_string(options.fastIoFail.count()) +
                ") or reconnectDelay (" + std::to_string(options.reconnectDelay.count()) + ")");
    }
    constexpr uint32_t kMaxQueues = 1024;
    if (options.ioQueues > kMaxQueues) {
        return makeError(EINVAL, "initiator option ioQueues is " + std::to_string(options.ioQueues),
                         "it takes 0 to 1024");
    }
    // The limits of the kernel's own option queue_size.
    if (options.queueDepth != 0 && (options.queueDepth < 16 || options.queueDepth > 1024)) {
        return makeError(EINVAL,
                         "initiator option queueDepth is " + std::to_string(options.queueDepth),
                         "it takes 16 to 1024, or 0 for the kernel's default");
    }
    if (options.hostNqn.empty()) return {};
    return checkNqn(options.hostNqn);
}

}  // namespace mooncake::nvmeof_generic
