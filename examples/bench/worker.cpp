// SPDX-License-Identifier: Apache-2.0
#include "bench/worker.h"

#include <algorithm>
#include <string>

namespace mooncake::bench {
namespace {

std::vector<BlockRange> shareOf(const WorkloadSpec& spec, uint64_t thread) {
    std::vector<FileSpan> spans;
    for (const WorkFile& file : spec.files) spans.push_back({file.id, file.size});
    return divideFiles(spans, spec.blockSize, spec.threads, thread);
}

// With verification no block is twice in one batch, so more buffers than blocks are never used.
uint64_t slotsOf(const WorkloadSpec& spec, const std::vector<BlockRange>& share) {
    if (!spec.verify) return spec.batchSize;
    uint64_t blocks = 0;
    for (const BlockRange& range : share) blocks += range.blockCount;
    return std::min(spec.batchSize, blocks);
}

const char* verbOf(TransferRequest::OpCode opcode) {
    return opcode == TransferRequest::READ ? "read" : "write";
}

}  // namespace

uint64_t Worker::bufferBytes(const WorkloadSpec& spec) {
    return slotsOf(spec, shareOf(spec, 0)) * spec.blockSize;
}

Worker::Worker(TransferApi& api, const WorkloadSpec& spec, uint64_t thread, RunShared& shared)
    : spec_(spec),
      shared_(shared),
      sequence_(shareOf(spec, thread), spec.blockSize, spec.batchSize),
      runner_(api, spec.stallLimit) {}

MaybeFailure Worker::create(TransferApi& api, const WorkloadSpec& spec, uint64_t thread,
                            RunShared& shared, std::unique_ptr<Worker>& worker) {
    std::unique_ptr<Worker> made(new Worker(api, spec, thread, shared));
    const uint64_t slots = slotsOf(spec, shareOf(spec, thread));
    if (auto failure = BufferArea::create(api, slots * spec.blockSize, made->area_)) return failure;
    made->blocks_.reserve(slots);
    made->requests_.reserve(slots);
    made->fillBuffers();
    worker = std::move(made);
    return std::nullopt;
}

std::string Worker::nameOf(FileBufferID file) const {
    std::string name = "file " + std::to_string(file);
    for (const WorkFile& candidate : spec_.files) {
        if (candidate.id == file) name += " (" + candidate.path + ")";
    }
    return name;
}

BlockTag Worker::tagOf(const BlockRef& block, uint64_t within) const {
    return {block.file, block.offset + within, spec_.seed, spec_.run, block.generation};
}

// Data for runs without verification: not zeros, which storage likes to treat specially.
void Worker::fillBuffers() {
    const uint64_t bytes = area_->size();
    for (uint64_t at = 0; at + kPatternBlock <= bytes; at += kPatternBlock) {
        fillBlock(area_->data() + at, {0, at, spec_.seed, spec_.run, 0});
    }
}

void Worker::fillPattern() {
    for (size_t i = 0; i < blocks_.size(); ++i) {
        for (uint64_t at = 0; at < spec_.blockSize; at += kPatternBlock) {
            fillBlock(buffer(i) + at, tagOf(blocks_[i], at));
        }
    }
}

void Worker::poisonBuffers() {
    for (size_t i = 0; i < blocks_.size(); ++i) {
        for (uint64_t at = 0; at < spec_.blockSize; at += kPatternBlock)
            poisonBlock(buffer(i) + at);
    }
}

void Worker::check(Expect expect) {
    for (size_t i = 0; i < blocks_.size(); ++i) {
        for (uint64_t at = 0; at < spec_.blockSize; at += kPatternBlock) {
            const BlockTag expected = tagOf(blocks_[i], at);
            const BlockCheck found = checkBlock(buffer(i) + at, expected, expect);
            switch (found.state) {
                case BlockState::kGood:
                    ++tally_.good;
                    continue;
                case BlockState::kZero:
                    ++tally_.zero;
                    if (expect == Expect::kAnyVersion) continue;
                    break;
                case BlockState::kForeign:
                    ++tally_.foreign;
                    break;
                default:
                    ++tally_.wrong;
                    break;
            }
            shared_.mismatches.add(nameOf(expected.file) + ": " +
                                   describe(found, expected, expect));
        }
    }
}

bool Worker::runBatch(TransferRequest::OpCode opcode, BatchOutcome& outcome) {
    requests_.resize(blocks_.size());
    for (size_t i = 0; i < blocks_.size(); ++i) {
        TransferRequest& request = requests_[i];
        request.opcode = opcode;
        request.source = buffer(i);
        request.target_id = spec_.segment;
        request.target_offset = blocks_[i].offset;
        request.length = spec_.blockSize;
        request.file_id = blocks_[i].file;
    }
    outcome = runner_.run(requests_);
    if (outcome.ok()) return true;
    shared_.stop.store(true, std::memory_order_relaxed);
    if (!outcome.released) {
        stuck_ = true;
        area_->abandon();
    }
    noteFailures(outcome);
    return false;
}

void Worker::noteFailures(const BatchOutcome& outcome) {
    if (!outcome.refusal.empty()) {
        shared_.failures.add("batch of " + std::to_string(requests_.size()) +
                             " requests was not accepted: " + outcome.refusal);
    }
    for (const RequestProblem& problem : outcome.problems) {
        const TransferRequest& request = requests_[problem.index];
        shared_.failures.add(std::string(verbOf(request.opcode)) + " of " +
                             std::to_string(request.length) + " bytes at offset " +
                             std::to_string(request.target_offset) + " of " +
                             nameOf(request.file_id) + " " + problem.what);
    }
    shared_.failures.addUnnamed(outcome.failed - outcome.problems.size());
}

MaybeFailure Worker::probe(const WorkFile& file) {
    blocks_.assign(1, {file.id, 0, 0});
    BatchOutcome outcome;
    if (runBatch(TransferRequest::READ, outcome)) return std::nullopt;
    std::string message = "cannot reach " + nameOf(file.id) + ":";
    for (const std::string& line : shared_.failures.lines()) message += " " + line + ";";
    return Failure{ExitCode::kIoError, message + " the engine's log above says why"};
}

void Worker::transfer(std::chrono::nanoseconds duration) {
    const bool writing = spec_.operation == Operation::kWrite;
    const auto opcode = writing ? TransferRequest::WRITE : TransferRequest::READ;
    begun_ = Clock::now();
    const Clock::time_point deadline = begun_ + duration;
    while (!shared_.stop.load(std::memory_order_relaxed) && Clock::now() < deadline) {
        sequence_.take(spec_.batchSize, spec_.verify, blocks_);
        if (spec_.verify) writing ? fillPattern() : poisonBuffers();
        BatchOutcome outcome;
        const bool completed = runBatch(opcode, outcome);
        completedBytes_.fetch_add(outcome.completedBytes, std::memory_order_relaxed);
        if (!completed) break;
        ++batches_;
        if (spec_.verify && !writing) check(Expect::kAnyVersion);
    }
    ended_ = Clock::now();
}

void Worker::readBack() {
    uint64_t cursor = 0;
    BatchOutcome outcome;
    while (!shared_.stop.load(std::memory_order_relaxed)) {
        sequence_.visited(cursor, spec_.batchSize, blocks_);
        if (blocks_.empty()) return;
        poisonBuffers();
        if (!runBatch(TransferRequest::READ, outcome)) return;
        check(Expect::kExactVersion);
    }
}

}  // namespace mooncake::bench
