// SPDX-License-Identifier: Apache-2.0
// A small number for each thread, for what is kept per thread without a lock.
#pragma once

#include <cstdint>

namespace mooncake::nvmeof_generic {

/// Of threads that have one each; later ones share the last.
inline constexpr uint32_t kThreadNumbers = 4096;

/// @return the calling thread's number, below kThreadNumbers. No other thread that runs has it,
///     but for the last number, which threads share when all others are taken. A thread that ends
///     gives its number to one that begins, which sees all that the former has written. The lowest
///     free number is given first. Costs a load but for a thread's first call. Never fails.
uint32_t threadNumber() noexcept;

}  // namespace mooncake::nvmeof_generic
