// SPDX-License-Identifier: Apache-2.0
// The order of keys by their bytes, in which a directory finds many of them soonest: neighbours lie
// together.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace mooncake::store {

// @return the places of the keys, the smallest key first
std::vector<size_t> orderOf(std::span<const std::string> keys);

}  // namespace mooncake::store
