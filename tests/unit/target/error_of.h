// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// The result of an operation that must fail: its error.
template <class T>
Error errorOf(const Result<T>& result) {
    if (!result.ok()) return result.error();
    ADD_FAILURE() << "succeeded";
    return {0, ""};
}

}  // namespace mooncake::nvmeof_generic
