// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::nvmeof_generic {

enum class SegmentState : uint8_t {
    kIdle,        ///< nobody uses it: no thread, connection or device
    kConnecting,  ///< its first requests wait for the connection
    kReady,       ///< the last attempt to look it up and to connect succeeded
    kDegraded,    ///< since then I/O has failed, or a device did not appear
    kGone,        ///< the last attempt failed
    kStopping,
};

constexpr bool mayFollow(SegmentState from, SegmentState to) {
    using State = SegmentState;
    if (from == to) return true;
    switch (to) {
        case State::kIdle:
            return from != State::kStopping;
        case State::kConnecting:
            return from == State::kIdle;
        case State::kReady:
        case State::kGone:
            return from != State::kIdle && from != State::kStopping;
        case State::kDegraded:
            return from == State::kReady;
        case State::kStopping:
            return true;
    }
    return false;
}

constexpr SegmentStats::State shown(SegmentState state) {
    switch (state) {
        case SegmentState::kConnecting:
            return SegmentStats::State::kConnecting;
        case SegmentState::kReady:
            return SegmentStats::State::kReady;
        case SegmentState::kDegraded:
            return SegmentStats::State::kDegraded;
        case SegmentState::kGone:
            return SegmentStats::State::kGone;
        case SegmentState::kIdle:
        case SegmentState::kStopping:
            break;
    }
    return SegmentStats::State::kIdle;
}

}  // namespace mooncake::nvmeof_generic
