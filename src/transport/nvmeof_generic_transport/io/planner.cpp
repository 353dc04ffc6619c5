// SPDX-License-Identifier: Apache-2.0
#include "planner.h"

#include <algorithm>
#include <cerrno>
#include <climits>

namespace mooncake::nvmeof_generic::io {
namespace {

// From here on it is cheaper to read the whole blocks of a request with a ragged end directly and
// its end apart than to copy all of it.
constexpr uint64_t kWorthTwoReads = 64 << 10;

constexpr uint64_t roundDown(uint64_t value, uint64_t unit) {
    return value & ~(unit - 1);
}
constexpr uint64_t roundUp(uint64_t value, uint64_t unit) {
    return roundDown(value + unit - 1, unit);
}

/// How many bytes at the start of what is left of a request can go directly.
uint64_t directBytes(const PlanRules& rules, const Request& request) {
    if (rules.mode == DirectIo::kOff || (request.write && rules.copyWrites)) return 0;
    const auto memory = reinterpret_cast<uintptr_t>(request.restBuffer());
    if ((memory & (rules.memoryAlignment - 1)) != 0) return 0;
    if ((request.restOffset() & (rules.blockSize - 1)) != 0) return 0;
    const uint64_t whole = roundDown(request.restLength(), rules.blockSize);
    if (request.write || whole == request.restLength()) return whole;
    return whole >= kWorthTwoReads ? whole : 0;
}

/// A run of requests that one I/O can carry.
struct Run {
    uint64_t end;     // on the device
    uint32_t pieces;  // at least one
};

struct RunLimits {
    uint64_t end;
    uint32_t pieces;
};

Run survey(const PlanRules& rules, const Request* request, bool direct, RunLimits limits) {
    const bool write = request->write;
    Run run{request->restOffset(), 0};
    while (true) {
        const uint64_t usable = direct ? directBytes(rules, *request) : request->restLength();
        const uint64_t taken = std::min(usable, limits.end - run.end);
        run.end += taken;
        ++run.pieces;
        if (taken < request->restLength() || run.end == limits.end || run.pieces == limits.pieces)
            break;
        request = request->next;
        if (request == nullptr || request->write != write || request->restOffset() != run.end)
            break;
        if ((directBytes(rules, *request) != 0) != direct) break;
    }
    return run;
}

/// Moves what lies before `end` from the queue into the operation.
void consume(RequestQueue& queue, uint64_t end, Operation& operation) {
    Request* request = queue.head();
    for (uint64_t at = request->restOffset(); at < end; request = queue.head()) {
        const auto length = static_cast<uint32_t>(std::min(request->restLength(), end - at));
        operation.pieces.push({request, request->restBuffer(), length});
        at += length;
        request->planned += length;
        if (request->planned == request->length) {
            // The part that stood for "not all planned" now stands for this piece.
            queue.pop();
        } else {
            request->parts.fetch_add(1, std::memory_order_relaxed);
        }
    }
}

}  // namespace

int refusal(const PlanRules& rules, uint64_t size, const IoRequest& request) {
    if (request.buffer == nullptr || request.length == 0) return EINVAL;
    if (request.op != IoOp::kRead && request.op != IoOp::kWrite) return EINVAL;
    if (request.offset > size || request.length > size - request.offset) return EINVAL;
    const auto memory = reinterpret_cast<uintptr_t>(request.buffer);
    if (request.length > UINTPTR_MAX - memory) return EINVAL;
    if (rules.mode == DirectIo::kOn) {
        if ((memory & (rules.memoryAlignment - 1)) != 0) return EINVAL;
        if (((request.offset | request.length) & (rules.blockSize - 1)) != 0) return EINVAL;
    }
    return 0;
}

void planNext(const PlanRules& rules, RequestQueue& queue, Joining joining, Operation& operation) {
    const Request& head = *queue.head();
    const uint64_t block = rules.blockSize;
    const uint64_t start = head.restOffset();
    const uint64_t firstBlock = roundDown(start, block);
    const bool direct = directBytes(rules, head) != 0;

    const auto limitEnd = [&]() -> uint64_t {
        if (direct) return start + rules.maxDirectBytes;
        // What comes before the first whole block of a write is a merge.
        if (head.write && start != firstBlock) return firstBlock + block;
        return firstBlock + rules.maxStagedBytes;
    }();
    RunLimits limits{limitEnd, joining == Joining::kAllowed ? IOV_MAX : 1U};
    Run run = survey(rules, &head, direct, limits);
    if (!operation.pieces.reserve(run.pieces)) {
        limits.pieces = operation.pieces.capacity();
        run = survey(rules, &head, direct, limits);
    }

    operation.op = head.op();
    operation.begin = firstBlock;
    operation.lead = static_cast<uint32_t>(start - firstBlock);
    if (direct) {
        operation.kind = OperationKind::kDirect;
        operation.length = static_cast<uint32_t>(run.end - start);
    } else if (!head.write) {
        operation.kind = OperationKind::kStaged;
        operation.length = static_cast<uint32_t>(roundUp(run.end, block) - firstBlock);
    } else if (start == firstBlock && run.end - start >= block) {
        operation.kind = OperationKind::kStaged;
        run.end = roundDown(run.end, block);
        operation.length = static_cast<uint32_t>(run.end - start);
    } else {
        operation.kind = OperationKind::kMerge;
        operation.length = rules.blockSize;
    }
    consume(queue, run.end, operation);
}

}  // namespace mooncake::nvmeof_generic::io
