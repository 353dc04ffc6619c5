// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>

#include "shared_namespace.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// Requests that go to the pool together, whatever their namespaces. Lives within one ReadSection,
/// which keeps the openings.
class SubmitWindow {
 public:
    explicit SubmitWindow(IoPool& pool, Submitter who = Submitter::kCaller)
        : pool_(pool), who_(who) {}
    SubmitWindow(const SubmitWindow&) = delete;
    SubmitWindow& operator=(const SubmitWindow&) = delete;

    /// Adds a request; what is there goes to the pool first when there is no room.
    /// @param retries  how often it may be tried again after an error that can pass; without memory
    ///     to remember it there is no second attempt
    void add(const SharedNamespace::Opening& to, const IoRequest& request, int retries) noexcept;

    /// Hands all to the pool.
    void submit() noexcept;

 private:
    static constexpr size_t kMost = 256;

    IoPool& pool_;
    const Submitter who_;
    size_t count_ = 0;
    std::array<IoItem, kMost> items_;
};

}  // namespace mooncake::nvmeof_generic
