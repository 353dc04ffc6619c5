// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// A request that may be repeated, while the pool has it. The pool gives back nothing but a
/// request's context, so this takes the context's place, marked in its lowest bit: contexts are
/// addresses of objects that are aligned to 2 bytes at least. Requests that are not to be repeated
/// pass unchanged and cost nothing.
struct RepeatedRequest {
    IoRequest request;                            ///< with its own context
    int left;                                     ///< attempts beyond the present one
    std::chrono::steady_clock::time_point since;  ///< of the present attempt

    /// @return the request for the pool; its context owns the object
    static IoRequest wrap(std::unique_ptr<RepeatedRequest> repeated) {
        IoRequest wrapped = repeated->request;
        wrapped.context =
            reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(repeated.release()) | uintptr_t{1});
        return wrapped;
    }

    /// @return what wrap() was given; null for any other context
    static std::unique_ptr<RepeatedRequest> unwrap(void* context) {
        const auto bits = reinterpret_cast<uintptr_t>(context);
        if ((bits & 1) == 0) return nullptr;
        return std::unique_ptr<RepeatedRequest>(
            reinterpret_cast<RepeatedRequest*>(bits & ~uintptr_t{1}));
    }
};

}  // namespace mooncake::nvmeof_generic
