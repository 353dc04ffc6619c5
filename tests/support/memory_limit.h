// SPDX-License-Identifier: Apache-2.0
// Memory that runs out. The program that links this has operators new and delete of its own.
#pragma once

#include <functional>

namespace test_support {

enum class Refused {
    kOne,      ///< the first allocation that there is no memory for, and none after it
    kAllFrom,  ///< it and all after it
};

/// Calls `call` with memory for so many allocations of this thread.
/// @return how many were refused: 0 when `call` needed no more
int withMemoryFor(long allocations, const std::function<void()>& call,
                  Refused which = Refused::kAllFrom);

/// As long as it lives, threads of this name get no memory. One at a time.
class NoMemoryFor {
 public:
    /// @param thread  a string that lives as long as the program
    explicit NoMemoryFor(const char* thread);
    ~NoMemoryFor();
    NoMemoryFor(const NoMemoryFor&) = delete;
    NoMemoryFor& operator=(const NoMemoryFor&) = delete;

    /// How often that was so.
    int refusals() const;
};

}  // namespace test_support
