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

BlockSequence::BlockSequence(const std::vector<BlockRange>& ranges, uint64_t blockSize,
                             uint64_t batchSize)
    : blockSize_(blockSize),
      run_(std::max<uint64_t>(1, batchSize / std::max<size_t>(1, ranges.size()))) {
    for (const BlockRange& range : ranges) {
        Walk walk;
        walk.range = range;
        walks_.push_back(walk);
        blockCount_ += range.blockCount;
    }
}

void BlockSequence::step() {
    current_ = (current_ + 1) % walks_.size();
    inRun_ = 0;
}

void BlockSequence::take(uint64_t count, bool distinct, std::vector<BlockRef>& blocks) {
    blocks.clear();
    for (Walk& walk : walks_) walk.taken = 0;
    while (blocks.size() < count) {
        if (inRun_ == run_) step();
        Walk& walk = walks_[current_];
        if (distinct && walk.taken == walk.range.blockCount) {
            if (blocks.size() == blockCount_) break;
            step();
            continue;
        }
        blocks.push_back(
            {walk.range.file, (walk.range.firstBlock + walk.next) * blockSize_, walk.generation});
        ++walk.taken;
        ++inRun_;
        if (++walk.next == walk.range.blockCount) {
            walk.next = 0;
            ++walk.generation;
        }
    }
}

void BlockSequence::visited(uint64_t& cursor, uint64_t count, std::vector<BlockRef>& blocks) const {
    blocks.clear();
    uint64_t before = 0;  // blocks of the ranges already passed
    for (const Walk& walk : walks_) {
        // Blocks before `next` have this generation, the others the one before it, which may be
        // none.
        const uint64_t reached = walk.generation > 1 ? walk.range.blockCount : walk.next;
        while (blocks.size() < count && cursor >= before && cursor - before < reached) {
            const uint64_t index = cursor - before;
            const uint64_t generation = index < walk.next ? walk.generation : walk.generation - 1;
            blocks.push_back(
                {walk.range.file, (walk.range.firstBlock + index) * blockSize_, generation});
            ++cursor;
        }
        if (blocks.size() == count) return;
        before += walk.range.blockCount;
        cursor = std::max(cursor, before);
    }
}

}  // namespace mooncake::bench
