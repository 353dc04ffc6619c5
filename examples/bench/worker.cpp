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

SequenceRules rulesOf(const WorkloadSpec& spec, uint64_t thread) {
    SequenceRules rules;
    rules.blockSize = spec.blockSize;
    rules.run = std::max<uint64_t>(1, spec.batchSize / std::max<size_t>(1, spec.files.size()));
    rules.random = isRandom(spec.operation);
    rules.readPercent = isMixed(spec.operation)  ? spec.readPercent
                        : writes(spec.operation) ? 0
                                                 : 100;
    rules.tracked = spec.verify;
    rules.seed = spec.seed + thread;
    return rules;
}

struct Shape {
    uint64_t slots;
    uint64_t batch;
};

// With verification no block is under way twice, so more buffers than blocks are never used.
Shape shapeOf(const WorkloadSpec& spec, const std::vector<BlockRange>& share) {
    if (!spec.verify) return {spec.window, spec.batchSize};
    uint64_t blocks = 0;
    for (const BlockRange& range : share) blocks += range.blockCount;
    const uint64_t batch = std::min(spec.batchSize, blocks);
    return {std::min(spec.window, (blocks + batch - 1) / batch), batch};
}

const char* verbOf(TransferRequest::OpCode opcode) {
    return opcode == TransferRequest::READ ? "read" : "write";
}

}  // namespace

uint64_t Worker::memoryBytes(const WorkloadSpec& spec) {
    const std::vector<BlockRange> share = shareOf(spec, 0);
    const Shape shape = shapeOf(spec, share);
    uint64_t bytes = shape.slots * shape.batch * spec.blockSize;
    if (spec.verify) {
        for (const BlockRange& range : share) {
            bytes += BlockSequence::trackingBytes(range.blockCount);
        }
    }
    return bytes;
}

Worker::Worker(TransferApi& api, const WorkloadSpec& spec, uint64_t thread, RunShared& shared)
    : api_(api),
      spec_(spec),
      shared_(shared),
      sequence_(shareOf(spec, thread), rulesOf(spec, thread)) {
    const Shape shape = shapeOf(spec, shareOf(spec, thread));
    for (uint64_t i = 0; i < shape.slots; ++i) {
        Slot& slot = slots_.emplace_back(BatchRunner(api, spec.stallLimit));
        slot.blocks.reserve(shape.batch);
        slot.requests.reserve(shape.batch);
    }
    figures_.files.resize(spec.files.size());
    for (const BlockRange& range : shareOf(spec, thread)) {
        const auto file = std::find_if(spec.files.begin(), spec.files.end(),
                                       [&](const WorkFile& f) { return f.id == range.file; });
        fileOfRange_.push_back(static_cast<size_t>(file - spec.files.begin()));
    }
}

MaybeFailure Worker::create(TransferApi& api, const WorkloadSpec& spec, uint64_t thread,
                            RunShared& shared, std::unique_ptr<Worker>& worker) {
    std::unique_ptr<Worker> made(new Worker(api, spec, thread, shared));
    const Shape shape = shapeOf(spec, shareOf(spec, thread));
    const uint64_t slotBytes = shape.batch * spec.blockSize;
    if (auto failure = BufferArea::create(api, shape.slots * slotBytes, made->area_)) {
        return failure;
    }
    for (size_t i = 0; i < made->slots_.size(); ++i) {
        made->slots_[i].buffers = made->area_->data() + i * slotBytes;
    }
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

void Worker::prepareBuffers(const Slot& slot) {
    char* buffer = slot.buffers;
    for (const BlockRef& block : slot.blocks) {
        for (uint64_t at = 0; at < spec_.blockSize; at += kPatternBlock) {
            block.write ? fillBlock(buffer + at, tagOf(block, at)) : poisonBlock(buffer + at);
        }
        buffer += spec_.blockSize;
    }
}

void Worker::check(const Slot& slot) {
    const char* buffer = slot.buffers;
    for (const BlockRef& block : slot.blocks) {
        // Of a block that this run has not written, only the place is known.
        const Expect expect = block.generation > 0 ? Expect::kExactVersion : Expect::kAnyVersion;
        for (uint64_t at = 0; at < spec_.blockSize && !block.write; at += kPatternBlock) {
            checkPattern(buffer + at, tagOf(block, at), expect);
        }
        buffer += spec_.blockSize;
    }
}

void Worker::checkPattern(const char* at, const BlockTag& expected, Expect expect) {
    const BlockCheck found = checkBlock(at, expected, expect);
    switch (found.state) {
        case BlockState::kGood:
            ++tally_.good;
            return;
        case BlockState::kZero:
            ++tally_.zero;
            if (expect == Expect::kAnyVersion) return;
            break;
        case BlockState::kForeign:
            ++tally_.foreign;
            break;
        default:
            ++tally_.wrong;
            break;
    }
    shared_.mismatches.add(nameOf(expected.file) + ": " + describe(found, expected, expect));
}

void Worker::makeRequests(Slot& slot) {
    slot.requests.resize(slot.blocks.size());
    char* buffer = slot.buffers;
    for (size_t i = 0; i < slot.blocks.size(); ++i) {
        const BlockRef& block = slot.blocks[i];
        TransferRequest& request = slot.requests[i];
        request.opcode = block.write ? TransferRequest::WRITE : TransferRequest::READ;
        request.source = buffer;
        request.target_id = spec_.segment;
        request.target_offset = block.offset;
        request.length = spec_.blockSize;
        request.file_id = block.file;
        buffer += spec_.blockSize;
    }
}

void Worker::noteFailures(const Slot& slot) {
    const BatchOutcome& outcome = slot.runner.outcome();
    shared_.stop.store(true, std::memory_order_relaxed);
    if (!outcome.released) {
        stuck_ = true;
        area_->abandon();
    }
    if (!outcome.refusal.empty()) {
        shared_.failures.add("batch of " + std::to_string(slot.requests.size()) +
                             " requests was not accepted: " + outcome.refusal);
    }
    for (const RequestProblem& problem : outcome.problems) {
        const TransferRequest& request = slot.requests[problem.index];
        shared_.failures.add(std::string(verbOf(request.opcode)) + " of " +
                             std::to_string(request.length) + " bytes at offset " +
                             std::to_string(request.target_offset) + " of " +
                             nameOf(request.file_id) + " " + problem.what);
    }
    shared_.failures.addUnnamed(outcome.failed - outcome.problems.size());
}

bool Worker::readNow(Slot& slot) {
    makeRequests(slot);
    if (slot.runner.run(slot.requests).ok()) return true;
    noteFailures(slot);
    return false;
}

MaybeFailure Worker::probe(const WorkFile& file) {
    Slot& slot = slots_.front();
    slot.blocks.assign(1, {file.id, 0, false, 0, 0, 0});
    if (readNow(slot)) return std::nullopt;
    std::string message = "cannot reach " + nameOf(file.id) + ":";
    for (const std::string& line : shared_.failures.lines()) message += " " + line + ";";
    return Failure{ExitCode::kIoError, message + " the engine's log above says why"};
}

bool Worker::goesOn(Clock::time_point now) const {
    return !shared_.stop.load(std::memory_order_relaxed) && now < deadline_;
}

void Worker::beginMeasuring(Clock::time_point now) {
    if (measuring_ || now < measureFrom_) return;
    measuring_ = true;
    begun_ = now;
    cpuAtBegin_ = CpuTime::ofProcess();
    submitsAtBegin_ = api_.submitStats();
}

bool Worker::launch(Slot& slot, Clock::time_point now) {
    sequence_.take(spec_.batchSize, slot.blocks);
    if (slot.blocks.empty()) return false;
    if (spec_.verify) {
        prepareBuffers(slot);
        now = Clock::now();
    }
    makeRequests(slot);
    slot.busy = true;
    slot.submitted = now;
    slot.runner.submit(slot.requests);
    return true;
}

void Worker::land(Slot& slot, Clock::time_point now) {
    slot.busy = false;
    sequence_.giveBack(slot.blocks);
    beginMeasuring(now);
    if (measuring_) account(slot, now);
    if (!slot.runner.outcome().ok()) {
        noteFailures(slot);
    } else if (spec_.verify) {
        check(slot);
    }
}

void Worker::account(const Slot& slot, Clock::time_point now) {
    const BatchOutcome& outcome = slot.runner.outcome();
    if (outcome.ok()) {
        ++batches_;
        uint64_t counts[2] = {0, 0};
        for (const BlockRef& block : slot.blocks) {
            FileTraffic& file = figures_.files[fileOfRange_[block.range]];
            (block.write ? file.written : file.read) += {spec_.blockSize, 1};
            ++counts[block.write ? 1 : 0];
        }
        const auto latency =
            static_cast<uint64_t>(std::chrono::nanoseconds(now - slot.submitted).count());
        figures_.read += {counts[0] * spec_.blockSize, counts[0]};
        figures_.written += {counts[1] * spec_.blockSize, counts[1]};
        figures_.readLatency.record(latency, counts[0]);
        figures_.writeLatency.record(latency, counts[1]);
    }
    completedBytes_.fetch_add(outcome.completedBytes, std::memory_order_relaxed);
}

void Worker::transfer() {
    measureFrom_ = Clock::now() + spec_.rampTime;
    deadline_ = measureFrom_ + spec_.duration;
    beginMeasuring(Clock::now());
    size_t busy = 0;
    for (;;) {
        bool moved = false;
        Clock::time_point now = Clock::now();
        for (Slot& slot : slots_) {
            if (slot.busy) {
                if (!slot.runner.poll()) continue;
                now = Clock::now();
                land(slot, now);
                --busy;
                moved = true;
            }
            if (goesOn(now) && launch(slot, now)) {
                ++busy;
                moved = true;
            }
        }
        if (busy == 0) break;
        // Polling all of them again costs more than the question whether that makes sense.
        if (!moved || !api_.waitForProgress(std::chrono::nanoseconds(0))) {
            api_.waitForProgress(BatchRunner::kLongestWait);
        }
    }
    ended_ = Clock::now();
    cpuAtEnd_ = CpuTime::ofProcess();
    submitsAtEnd_ = api_.submitStats();
}

void Worker::readBack() {
    uint64_t cursor = 0;
    Slot& slot = slots_.front();
    while (!shared_.stop.load(std::memory_order_relaxed)) {
        sequence_.visited(cursor, spec_.batchSize, slot.blocks);
        if (slot.blocks.empty()) return;
        prepareBuffers(slot);
        if (!readNow(slot)) return;
        check(slot);
    }
}

}  // namespace mooncake::bench
