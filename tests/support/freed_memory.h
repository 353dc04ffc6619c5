// SPDX-License-Identifier: Apache-2.0
// What stands in memory when it is given back. The program that links this has operators delete of
// its own; they look at the block before it goes.
#pragma once

#include <string_view>

namespace test_support {

/// Counts the blocks that are given back with `text` in them, from any thread, as long as it lives.
/// One at a time. `text` should be long enough not to be anywhere by chance.
class FreedMemory {
 public:
    explicit FreedMemory(std::string_view text);
    ~FreedMemory();
    FreedMemory(const FreedMemory&) = delete;
    FreedMemory& operator=(const FreedMemory&) = delete;

    /// @return how many there were since it was last asked
    int found();
};

}  // namespace test_support
