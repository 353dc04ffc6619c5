// SPDX-License-Identifier: Apache-2.0
// Who has to go where a server has as many connections as it will have, and one more comes. No
// system calls, no clocks: the server asks, and closes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>

#include "peer_address.h"

namespace mooncake {

// One thread at a time.
class ConnectionCrowd {
 public:
    using Time = std::chrono::steady_clock::time_point;
    using Id = uint64_t;

    struct Limits {
        size_t connections = 256;
        // Of one peer (see PeerKey).
        size_t per_peer = 128;
        // So long everyone may stay: who has just come has not had the time to say anything.
        std::chrono::milliseconds grace{50};
    };
    enum class Stage {
        kIdle,      // it has had its answer, and has not asked again
        kAsking,    // its question is not complete
        kAnswered,  // it has not taken all of its answer
    };

    explicit ConnectionCrowd(const Limits& limits) : limits_(limits) {}

    struct Place {
        bool free = false;
        Id victim = 0;  // where it is not free: who has to go
        Time from{};    // not before then
    };
    // Whether there is room for one more of this peer. Where there is none, that of the peer goes
    // which has too many, or of the peer with the most connections: first who is idle, then who
    // does not ask, then who does not take its answer; among these the one that has been so
    // longest.
    Place placeFor(const PeerKey& peer) const;

    // `id` is new; it is kAsking.
    void add(Id id, const PeerKey& peer, Time now);
    void move(Id id, Stage stage, Time now);
    void remove(Id id);
    size_t size() const { return held_.size(); }
    // A quarter of what there may be, at most.
    bool isSmall() const { return held_.size() <= limits_.connections / 4; }

 private:
    struct Held {
        PeerKey peer;
        Stage stage = Stage::kAsking;
        Time since;
    };

    const Limits limits_;
    std::map<Id, Held> held_;
    std::map<PeerKey, size_t> counts_;
};

}  // namespace mooncake
