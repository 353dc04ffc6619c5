// SPDX-License-Identifier: Apache-2.0
// Whether this process can touch the memory that a program has named by its address.
#pragma once

#include <vector>

#include "arguments.h"

namespace mooncake::python {

// What the store does with the memory.
enum class Use { kIsRead, kIsWritten };

// By the first and the last byte of each slice; a slice of no bytes can be touched. Memory of a GPU
// cannot, nor can what is mapped for reading only be written to; doing so here would end the
// process.
bool isReachable(const Slices& slices, Use use);

// Empties the lists with memory that cannot be touched, which every call refuses.
// @return  whether there was one; then reportUnreachable() is to be called after the call.
bool dropUnreachable(std::vector<Slices>& lists, Use use);

// For lastError(), and now and then for the log.
void reportUnreachable();

}  // namespace mooncake::python
