// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "operation.h"

namespace mooncake::nvmeof_generic::io {

/// The operations of one io_submit.
struct Batch {
    /// Many enough for the block layer to plug, few enough that other devices have their turn soon.
    static constexpr size_t kMostOperations = 64;
    static constexpr uint64_t kMostBytes = 16 << 20;

    std::array<Operation*, kMostOperations> operations;
    size_t count = 0;
    uint64_t bytes = 0;

    bool full() const { return count == kMostOperations || bytes >= kMostBytes; }
    void add(Operation* operation) {
        operations[count++] = operation;
        bytes += operation->length;
    }
    void clear() {
        count = 0;
        bytes = 0;
    }
};

}  // namespace mooncake::nvmeof_generic::io
