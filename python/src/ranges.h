// SPDX-License-Identifier: Apache-2.0
// get_into_ranges(): parts of objects to places in buffers.
#pragma once

#include <cstdint>
#include <vector>

#include "arguments.h"
#include "session.h"

namespace mooncake::python {

// What is read of one object into one buffer.
struct KeyRanges {
    std::string key;
    uintptr_t buffer = 0;
    uint64_t room = UINT64_MAX;  // bytes of the buffer, where they are known
    std::vector<uint64_t> to;    // bytes from the buffer's begin
    std::vector<uint64_t> from;  // bytes from the object's begin
    std::vector<uint64_t> sizes;
    std::vector<int64_t> results;  // bytes or a negative code, as many as sizes
};

// Fills in the results. Each object is read as a whole, since its checksum is one of the whole.
// Waits.
void readRanges(Client& client, std::vector<KeyRanges>& all);

}  // namespace mooncake::python
