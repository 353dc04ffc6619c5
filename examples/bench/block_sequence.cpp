// SPDX-License-Identifier: Apache-2.0
#include "bench/block_sequence.h"

#include <algorithm>

namespace mooncake::bench {
namespace {

// The first block of a thread, `blocks` being divided as evenly as possible.
uint64_t shareStart(uint64_t blocks, uint64_t threads, uint64_t thread) {
    return blocks / threads * thread + std::min(thread, blocks % threads);
}

}  // namespace

std::vector<BlockRange> divideFiles(const std::vector<FileSpan>& files, uint64_t blockSize,
                                    uint64_t threads, uint64_t thread) {
    std::vector<BlockRange> ranges;
    for (const FileSpan& file : files) {
        const uint64_t blocks = file.size / blockSize;
        const uint64_t begin = shareStart(blocks, threads, thread);
        const uint64_t end = shareStart(blocks, threads, thread + 1);
        if (end > begin) ranges.push_back({file.id, begin, end - begin});
    }
    return ranges;
}

BlockSequence::BlockSequence(const std::vector<BlockRange>& ranges, const SequenceRules& rules)
    : rules_(rules), random_(rules.seed) {
    for (const BlockRange& range : ranges) {
        walks_.push_back({range, blockCount_});
        blockCount_ += range.blockCount;
    }
    if (rules_.tracked) {
        generations_.resize(blockCount_);
        underWay_.resize(blockCount_);
    }
}

void BlockSequence::step() {
    current_ = (current_ + 1) % walks_.size();
    inRun_ = 0;
}

bool BlockSequence::nextSequential(size_t& walk, uint64_t& within) {
    if (inRun_ == rules_.run) step();
    // A file whose next block is under way has been gone through once around.
    for (size_t tried = 0; !isFree(walks_[current_].firstIndex + walks_[current_].next); ++tried) {
        if (tried == walks_.size()) return false;
        step();
    }
    ++inRun_;
    Walk& chosen = walks_[current_];
    walk = current_;
    within = chosen.next;
    chosen.next = chosen.next + 1 == chosen.range.blockCount ? 0 : chosen.next + 1;
    return true;
}

bool BlockSequence::nextRandom(size_t& walk, uint64_t& within) {
    if (rules_.tracked && underWayCount_ == blockCount_) return false;
    uint64_t index = std::uniform_int_distribution<uint64_t>(0, blockCount_ - 1)(random_);
    while (!isFree(index)) index = index + 1 == blockCount_ ? 0 : index + 1;
    walk = walkOf(index);
    within = index - walks_[walk].firstIndex;
    return true;
}

size_t BlockSequence::walkOf(uint64_t index) const {
    const auto after =
        std::upper_bound(walks_.begin(), walks_.end(), index,
                         [](uint64_t i, const Walk& walk) { return i < walk.firstIndex; });
    return static_cast<size_t>(after - walks_.begin()) - 1;
}

BlockRef BlockSequence::refer(size_t walk, uint64_t within) const {
    const Walk& from = walks_[walk];
    const uint64_t index = from.firstIndex + within;
    const uint64_t generation = rules_.tracked ? generations_[index] : 0;
    return {from.range.file, (from.range.firstBlock + within) * rules_.blockSize,
            false,           generation,
            index,           walk};
}

void BlockSequence::take(uint64_t count, std::vector<BlockRef>& blocks) {
    blocks.clear();
    std::uniform_int_distribution<unsigned> percent(0, 99);
    while (blocks.size() < count) {
        size_t walk = 0;
        uint64_t within = 0;
        if (!(rules_.random ? nextRandom(walk, within) : nextSequential(walk, within))) return;
        BlockRef block = refer(walk, within);
        block.write = rules_.readPercent == 0 ||
                      (rules_.readPercent < 100 && percent(random_) >= rules_.readPercent);
        if (rules_.tracked) {
            if (block.write) block.generation = ++generations_[block.index];
            underWay_[block.index] = 1;
            ++underWayCount_;
        }
        blocks.push_back(block);
    }
}

void BlockSequence::giveBack(const std::vector<BlockRef>& blocks) {
    if (!rules_.tracked) return;
    for (const BlockRef& block : blocks) underWay_[block.index] = 0;
    underWayCount_ -= blocks.size();
}

void BlockSequence::visited(uint64_t& cursor, uint64_t count, std::vector<BlockRef>& blocks) const {
    blocks.clear();
    for (; cursor < generations_.size() && blocks.size() < count; ++cursor) {
        if (generations_[cursor] == 0) continue;
        const size_t walk = walkOf(cursor);
        blocks.push_back(refer(walk, cursor - walks_[walk].firstIndex));
    }
}

}  // namespace mooncake::bench
