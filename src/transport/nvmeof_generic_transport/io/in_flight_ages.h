// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace mooncake::nvmeof_generic::io {

/// How long the oldest I/O in flight has been so, in steps of whoever looks at it regularly: costs
/// two additions for each I/O, and no look at a clock. Not thread-safe.
class InFlightAges {
 public:
    static constexpr uint32_t kMost = 31;

    /// @return what ended() wants to know
    uint8_t started() {
        ++counts_[now_];
        return now_;
    }
    void ended(uint8_t at) { --counts_[at]; }

    /// A step. @return how many steps before this one the oldest has seen, kMost for more; 0 where
    /// nothing is in flight
    uint32_t step() {
        uint32_t age = kMost;
        while (age > 0 && counts_[(now_ - age) % kSteps] == 0) --age;
        // Otherwise what is as old as can be told would be taken for new.
        const auto next = static_cast<uint8_t>((now_ + 1) % kSteps);
        if (counts_[next] == 0) now_ = next;
        return age;
    }

 private:
    static constexpr uint32_t kSteps = kMost + 1;
    static_assert(256 % kSteps == 0, "differences of places wrap around");

    std::array<uint32_t, kSteps> counts_{};  // in flight, by the step in which it started
    uint8_t now_ = 0;
};

}  // namespace mooncake::nvmeof_generic::io
