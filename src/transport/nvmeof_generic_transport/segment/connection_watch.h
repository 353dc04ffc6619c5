// SPDX-License-Identifier: Apache-2.0
// When a connection is given up over which I/O gets on no more. Pure: it is told what was seen, and
// when.
#pragma once

#include <chrono>
#include <cstdint>

#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

/// The kernel keeps I/O of a connection that is down until its fast_io_fail_tmo is over, and counts
/// that from when it has taken the dead connection down, which can take it longer than it may take
/// in all. It deletes a controller only between two attempts to reconnect, and one can take 3 s and
/// more.
///
/// That the target answers says little about I/O: a path may lose large packets alone, or a disk of
/// the target hang. The kernel's own limit for I/O (nvme_core.io_timeout, 30 s, or none) ends
/// nothing: it connects anew and sends the same again. Not thread-safe.
class ConnectionWatch {
 public:
    using Clock = std::chrono::steady_clock;

    enum class Verdict {
        kWait,
        kGiveUp,
        kGiveUpWhenFailed,  ///< take back what the kernel has not got, and let it fail the rest
        kGiveUpHung,        ///< it is up, and I/O on it has no end
        kGiveUpInVain,      ///< the same, and the target's answers get lost again and again
    };
    struct Sight {
        bool live;
        bool reconnecting;
        Clock::time_point down;  ///< if it is not live: since when, as far as this look can tell
    };

    /// @param downLimit  for a connection to be down while I/O waits for it
    /// @param ioLimit  for the kernel to have an I/O, whatever else moves and answers
    ConnectionWatch(std::chrono::milliseconds downLimit, std::chrono::milliseconds ioLimit)
        : downLimit_(downLimit), ioLimit_(ioLimit) {}

    /// Between two counts of the I/O that the kernel has. Never changes.
    std::chrono::milliseconds pause() const { return pauseOf(downLimit_); }
    static std::chrono::milliseconds pauseOf(std::chrono::milliseconds downLimit);

    /// @param sample  of all devices of the connection
    /// @return whether the connection is worth a look: I/O is outstanding and none has ended since
    ///     the last count, or some has not ended for long, whatever becomes of the rest (one of the
    ///     connection's queues may be dead, and the others not)
    bool stalls(const IoDevice::Sample& sample);

    /// What became of a question. Where answers get lost and the kernel can connect all the same, a
    /// path loses a part of the packets, such as large ones.
    void noteAnswer(bool came, Clock::time_point now);
    /// Whether more than one answer in a row was lost, on whatever connections, within a minute.
    bool losesAnswers() const { return lost_ > 1; }
    /// Another connection is watched from now on.
    void beginAnew() {
        forget();
        unanswered_ = 0;
    }

    /// Whether the look is to ask the target if it is there, over all queues. Not at once, and not
    /// each time.
    bool shouldAsk() const;

    /// @param stopping  nothing may wait any more for the connection to come back
    Verdict judge(const Sight& sight, Clock::time_point now, bool stopping);

 private:
    void forget() { downSince_ = reconnectingSince_ = Clock::time_point::max(); }

    const std::chrono::milliseconds downLimit_;
    const std::chrono::milliseconds ioLimit_;
    bool hung_ = false;        // some I/O is as old as that
    uint32_t unanswered_ = 0;  // questions in a row, of this connection
    uint32_t lost_ = 0;        // the same of all connections
    Clock::time_point lostAt_{};
    uint32_t stalled_ = 0;    // counts in a row without any I/O having ended
    uint32_t overdue_ = 0;    // counts in a row in which some I/O had not ended for long
    uint64_t lastEnded_ = 0;  // requests, when last counted
    // Since when the connection is down, and since when the kernel has been reconnecting; no I/O
    // has ended since.
    Clock::time_point downSince_ = Clock::time_point::max();
    Clock::time_point reconnectingSince_ = Clock::time_point::max();
};

}  // namespace mooncake::nvmeof_generic
