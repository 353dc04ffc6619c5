// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

namespace mooncake {

// File numbers that have been used, as ranges, in bounded memory: where there are too many ranges,
// those with the smallest gaps between them become one, and the numbers in the gap count as used,
// too. What was inserted stays. Not thread-safe.
class NumberSet {
 public:
    // The last one is no number of a file: it means all of them in NVMe.
    static constexpr uint32_t kHighest = UINT32_MAX - 1;

    explicit NumberSet(size_t max_ranges = 4096) : max_ranges_(max_ranges) {}

    bool contains(uint32_t number) const {
        const auto after = ranges_.upper_bound(number);
        return after != ranges_.begin() && number <= std::prev(after)->second;
    }

    void insert(uint32_t number) {
        if (contains(number)) return;
        uint32_t first = number;
        uint32_t last = number;
        const auto after = ranges_.upper_bound(number);
        if (after != ranges_.begin() && std::prev(after)->second + 1 == number) {
            first = std::prev(after)->first;
        }
        if (after != ranges_.end() && after->first - 1 == number) {
            last = after->second;
            ranges_.erase(after);
        }
        ranges_[first] = last;
        if (ranges_.size() > max_ranges_) joinNeighbours();
    }

    // The highest number from 1 up that is not in it; 0 where all are.
    uint32_t highestFree() const {
        uint32_t free = kHighest;
        for (auto range = ranges_.rbegin(); range != ranges_.rend(); ++range) {
            if (range->second < free) break;
            free = std::min(free, range->first - 1);
        }
        return free;
    }

    size_t ranges() const { return ranges_.size(); }

 private:
    // Halves the ranges, so that this is seldom.
    void joinNeighbours() {
        std::vector<std::pair<uint32_t, uint32_t>> gaps;  // size, first of the range behind it
        for (auto range = std::next(ranges_.begin()); range != ranges_.end(); ++range) {
            gaps.emplace_back(range->first - std::prev(range)->second, range->first);
        }
        std::sort(gaps.begin(), gaps.end());
        gaps.resize(gaps.size() - gaps.size() / 2);
        for (const auto& [size, first] : gaps) {
            const auto range = ranges_.find(first);
            std::prev(range)->second = range->second;
            ranges_.erase(range);
        }
    }

    const size_t max_ranges_;
    std::map<uint32_t, uint32_t>
        ranges_;  // first to last of each, neither touching nor overlapping
};

}  // namespace mooncake
