// SPDX-License-Identifier: Apache-2.0
// Which of several paths keeps what it was given. Pure: it is told what was seen, and when.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace mooncake::nvmeof_generic {

/// The I/O queues of a path can die alone: its admin queue answers, and what was sent over the
/// others has arrived, so that nothing is sent again either. Then the path has I/O of which none
/// ends, while another one, which the kernel gives the same disks' I/O, has none or gets on. Where
/// a disk of the target hangs, it does so over all paths that have I/O of it. One at a time.
class StuckPaths {
 public:
    using Clock = std::chrono::steady_clock;
    /// For how long a path has I/O of which none ends before it is taken for stuck.
    static constexpr std::chrono::milliseconds kStuck{1500};
    /// After a path was taken for stuck, for how long no other one is: if what it had is stuck
    /// there, too, it is a disk that hangs.
    static constexpr std::chrono::seconds kNoOther{30};

    explicit StuckPaths(size_t paths) : seen_(paths) {}

    struct Sight {
        uint64_t ended;     ///< I/Os since the path was made
        uint64_t inFlight;  ///< I/Os now
    };
    /// @param sight  of a path that is up and whose admin queue answers; nothing: it is not
    /// @return whether the path is to be reset. Then it counts as new
    bool note(size_t path, const std::optional<Sight>& sight, Clock::time_point now);

 private:
    struct Seen {
        std::optional<Sight> last;
        Clock::time_point lookedAt{};
        Clock::time_point movedAt{};  // when it last had nothing, or something had ended
    };
    bool getsOn(const Seen& path, Clock::time_point now) const;

    std::vector<Seen> seen_;
    std::optional<size_t> stuck_;  // the last one
    Clock::time_point stuckAt_{};
};

}  // namespace mooncake::nvmeof_generic
