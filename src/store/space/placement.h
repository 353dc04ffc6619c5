// SPDX-License-Identifier: Apache-2.0
// On which file each replica of an object goes.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ids.h"

namespace mooncake::store {

// A file that can be written now. Files that cannot be reached are not among those to choose from.
struct FileRoom {
    FileNumber file = 0;
    std::string_view node;   // the name of its segment
    uint32_t regions = 0;    // all
    uint32_t clean = 0;      // free to be taken
    uint32_t evictable = 0;  // can be made free
    uint64_t in_flight = 0;  // bytes on their way to or from it, by this client
};

struct Wish {
    uint32_t replicas = 1;
    std::span<const std::string> preferred = {};  // names of nodes, the dearest first
};

// How many regions of a file its node keeps clean, so that puts never wait for an eviction: an
// eviction takes tens of milliseconds, in which a fast node fills a few regions.
uint32_t cleanReserve(uint32_t regions);

// Thread rule: one thread at a time.
class Placement {
 public:
    explicit Placement(uint64_t seed) : random_(seed) {}

    // The files for the replicas of one object, each of another node: on preferred nodes first,
    // where one has room, then anywhere. Files are drawn by the regions that are clean beyond their
    // reserve and, with an eighth of the weight, by their size, which is all that counts in a full
    // pool: there it evens out how long objects stay. Two are drawn, and the one with less in
    // flight is taken.
    // @return fewer than asked for where there are not as many nodes with room; none: the pool is
    //     full of what must stay
    std::vector<FileNumber> choose(std::span<const FileRoom> files, const Wish& wish);

 private:
    const FileRoom* draw(const std::vector<const FileRoom*>& among);

    std::mt19937_64 random_;
};

}  // namespace mooncake::store
