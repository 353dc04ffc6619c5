// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace mooncake::nvmeof_generic::io {

/// How many operations of a device are in flight, for how long the oldest has been so, and whether
/// they may be started and ended without the device's lock: one word, so that a request costs two
/// atomic operations of it.
///
/// Operations are counted by generation. A generation ends when somebody who looks regularly calls
/// step(), so nobody else looks at a clock.
///
/// Thread-safe, but for step() and the members that say so.
class InFlight {
 public:
    using Clock = std::chrono::steady_clock;

    /// What one step adds to ages at most.
    static constexpr std::chrono::milliseconds kLongestStep{500};
    /// The greatest limit that reserve() can be given.
    static constexpr uint32_t kMost = 1024;
    static constexpr uint32_t kGenerations = 5;

    /// Start and end operations under the device's lock: there is a backlog, or an end to come.
    static constexpr uint64_t kLocked = uint64_t{1} << 63;
    /// Some operation has ended since step() looked.
    static constexpr uint64_t kMoved = uint64_t{1} << 62;

    struct Places {
        uint32_t count;
        uint8_t generation;
    };

    /// Takes up to `wanted` places, `limit` in all. @return none of them where the flag kLocked is
    /// set and `locked` is false
    Places reserve(uint32_t wanted, uint32_t limit, bool locked) {
        uint64_t word = word_.load(std::memory_order_relaxed);
        for (;;) {
            if ((word & kLocked) != 0 && !locked) return {0, 0};
            const uint32_t used = countOf(word);
            const uint32_t count = used >= limit ? 0 : std::min(wanted, limit - used);
            const auto generation = static_cast<uint8_t>(word >> kNowShift & kNowMask);
            if (count == 0) return {0, generation};
            if (word_.compare_exchange_weak(word, word + (uint64_t{count} << kBits * generation),
                                            std::memory_order_acquire, std::memory_order_relaxed)) {
                return {count, generation};
            }
        }
    }

    /// Gives places back. Where the flag kLocked is set and `locked` is false it does nothing: then
    /// the device must be locked first. Release: what was done for the operations comes before.
    /// @param ended  whether their operations were in flight
    /// @return whether the places are back. The device may be gone then, unless it is locked
    bool release(Places places, bool ended, bool locked) {
        const uint64_t less = uint64_t{places.count} << kBits * places.generation;
        uint64_t word = word_.load(std::memory_order_relaxed);
        for (;;) {
            if ((word & kLocked) != 0 && !locked) return false;
            const uint64_t next = (word - less) | (ended ? kMoved : 0);
            if (word_.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
                return true;
            }
        }
    }

    uint32_t count() const { return countOf(word_.load(std::memory_order_acquire)); }

    /// Under the device's lock.
    void lock(bool locked) {
        if (((word_.load(std::memory_order_relaxed) & kLocked) != 0) == locked) return;
        if (locked) {
            word_.fetch_or(kLocked, std::memory_order_acq_rel);
        } else {
            word_.fetch_and(~kLocked, std::memory_order_release);
        }
    }

    struct Age {
        bool moved;  ///< some operation has ended since the last step
        /// For how long the oldest operation has been in flight, at least; 0: none has seen a step
        std::chrono::milliseconds oldest;
    };
    /// A step. One caller at a time. After a long pause only a moment of it counts: the process may
    /// have been stopped, with operations that have ended and that nobody could look at.
    Age step(Clock::time_point now) {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - steppedAt_);
        steppedAt_ = now;
        clock_ += std::clamp(passed, std::chrono::milliseconds(0), kLongestStep);
        uint64_t word = word_.load(std::memory_order_acquire);
        uint32_t present = 0;
        Age age{};
        for (;;) {
            present = static_cast<uint32_t>(word >> kNowShift & kNowMask);
            age = {(word & kMoved) != 0, {}};
            // What is in the present generation ages from the next step on.
            for (uint32_t g = 0; g < kGenerations; ++g) {
                if (countIn(word, g) == 0 || g == present) continue;
                age.oldest = std::max(age.oldest, clock_ - endedAt_[g]);
            }
            const uint32_t next = (present + 1) % kGenerations;
            uint64_t changed = word & ~kMoved;
            // While the oldest generation lasts there is no room for another one.
            const bool turns = countIn(word, present) != 0 && countIn(word, next) == 0;
            if (turns) changed = (changed & ~(kNowMask << kNowShift)) | uint64_t{next} << kNowShift;
            if (word_.compare_exchange_weak(word, changed, std::memory_order_acq_rel)) {
                if (turns) endedAt_[present] = clock_;
                return age;
            }
        }
    }

 private:
    static constexpr uint32_t kBits = 11;  // of a generation's count: at most kMost
    static constexpr uint64_t kCountMask = (uint64_t{1} << kBits) - 1;
    static constexpr uint32_t kNowShift = 56;  // the present generation
    static constexpr uint64_t kNowMask = 7;
    static_assert(kGenerations * kBits <= kNowShift && kMost <= kCountMask);

    static uint32_t countIn(uint64_t word, uint32_t generation) {
        return static_cast<uint32_t>(word >> kBits * generation & kCountMask);
    }
    static uint32_t countOf(uint64_t word) {
        uint32_t sum = 0;
        for (uint32_t g = 0; g < kGenerations; ++g) sum += countIn(word, g);
        return sum;
    }

    std::atomic<uint64_t> word_{0};
    Clock::time_point steppedAt_{};
    std::chrono::milliseconds clock_{0};                             // of the steps
    std::array<std::chrono::milliseconds, kGenerations> endedAt_{};  // each generation
};

}  // namespace mooncake::nvmeof_generic::io
