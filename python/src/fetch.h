// SPDX-License-Identifier: Apache-2.0
// Reads objects whose sizes the caller does not know, into memory that is made for them.
#pragma once

#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "results.h"
#include "session.h"
#include "unlocked.h"

namespace mooncake::python {

// The objects in the order of the keys; nothing for what is missing, cannot be read, or has no room
// in the local buffer.
//   Room   std::optional<Room> Room::make(Session&, uint64_t size), by a thread that has the GIL;
//          void* data(); void shrink(uint64_t size)
template <class Room>
std::vector<std::optional<Room>> fetch(Session& session, const Keys& keys) {
    // An object that others replace has another size each time.
    constexpr int kAttempts = 3;
    std::vector<std::optional<Room>> rooms(keys.size());
    std::vector<size_t> pending(keys.size());
    std::iota(pending.begin(), pending.end(), size_t{0});
    for (int attempt = 0; attempt < kAttempts && !pending.empty(); ++attempt) {
        Keys asked;
        for (const size_t i : pending) asked.push_back(keys[i]);
        const auto found = [&] {
            const Unlocked unlocked;
            return session.client().BatchQuery(asked);
        }();
        Keys there;
        std::vector<size_t> places;
        std::vector<Slices> slices;
        for (size_t i = 0; i < pending.size(); ++i) {
            if (!found[i] || !session.buffer()->fits(found[i]->size)) continue;
            auto& room = rooms[pending[i]] = Room::make(session, found[i]->size);
            if (!room) continue;
            there.push_back(asked[i]);
            places.push_back(pending[i]);
            slices.push_back({{room->data(), found[i]->size}});
        }
        const auto sizes = [&] {
            const Unlocked unlocked;
            return session.client().BatchGetInto(there, slices);
        }();
        pending.clear();
        for (size_t i = 0; i < there.size(); ++i) {
            auto& room = rooms[places[i]];
            if (sizes[i]) {
                room->shrink(*sizes[i]);
                continue;
            }
            room.reset();
            // It has grown.
            if (sizes[i].error() == ErrorCode::INVALID_PARAMS) pending.push_back(places[i]);
        }
    }
    return rooms;
}

}  // namespace mooncake::python
