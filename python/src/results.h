// SPDX-License-Identifier: Apache-2.0
// From the client's results to the numbers that Python gets.
#pragma once

#include <cstdint>
#include <tl/expected.hpp>
#include <type_traits>
#include <vector>

#include "mooncake_store/types.h"

namespace mooncake::python {

// Of every call before setup() and after close().
constexpr auto kNotSetUp = static_cast<int64_t>(ErrorCode::INVALID_PARAMS);

// The value, 0 where there is none, or the negative code of the error.
template <class Value>
int64_t numberOf(const tl::expected<Value, ErrorCode>& result) {
    if (!result) return toInt(result.error());
    if constexpr (std::is_void_v<Value>) {
        return 0;
    } else {
        return static_cast<int64_t>(*result);
    }
}

template <class Value>
std::vector<int64_t> numbersOf(const std::vector<tl::expected<Value, ErrorCode>>& results) {
    std::vector<int64_t> numbers;
    numbers.reserve(results.size());
    for (const auto& result : results) numbers.push_back(numberOf(result));
    return numbers;
}

}  // namespace mooncake::python
