// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// A read that may be repeated, while the pool has it. The pool gives back nothing but a request's
/// context, so this takes the context's place, marked in its lowest bit: contexts are addresses of
/// objects that are aligned to 2 bytes at least. Requests that are not to be repeated pass
/// unchanged and cost nothing.
struct RetriedRead {
    IoRequest request;  ///< with its own context
    int left;           ///< attempts beyond the next one

    /// @return the request for the pool; its context owns the object
    static IoRequest wrap(std::unique_ptr<RetriedRead> read) {
        IoRequest wrapped = read->request;
        wrapped.context =
            reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(read.release()) | uintptr_t{1});
        return wrapped;
    }

    /// @return what wrap() was given; null for any other context
    static std::unique_ptr<RetriedRead> unwrap(void* context) {
        const auto bits = reinterpret_cast<uintptr_t>(context);
        if ((bits & 1) == 0) return nullptr;
        return std::unique_ptr<RetriedRead>(reinterpret_cast<RetriedRead*>(bits & ~uintptr_t{1}));
    }
};

}  // namespace mooncake::nvmeof_generic
