// SPDX-License-Identifier: Apache-2.0
#include "planner.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <climits>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint32_t kBlock = 4096;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSize = 1ULL << 40;

char* at(uint64_t address) {
    return reinterpret_cast<char*>(address);
}

PlanRules rules(DirectIo mode = DirectIo::kAuto) {
    return {mode, kBlock, 512, kMiB, 256 << 10};
}

/// A queue of requests and what the planner makes of it.
class Planning {
 public:
    explicit Planning(const PlanRules& r) : rules_(r) {}

    void add(IoOp op, uint64_t memory, uint64_t offset, uint64_t length) {
        requests_.emplace_back();
        requests_.back().start(op, at(memory), offset, length, nullptr, false);
        queue_.push(&requests_.back());
    }
    void read(uint64_t memory, uint64_t offset, uint64_t length) {
        add(IoOp::kRead, memory, offset, length);
    }
    void write(uint64_t memory, uint64_t offset, uint64_t length) {
        add(IoOp::kWrite, memory, offset, length);
    }

    Operation& next(Joining joining = Joining::kAllowed) {
        operations_.push_back(std::make_unique<Operation>());
        planNext(rules_, queue_, joining, *operations_.back());
        return *operations_.back();
    }
    bool done() const { return queue_.empty(); }
    size_t planAll(Joining joining = Joining::kAllowed) {
        while (!done()) next(joining);
        return operations_.size();
    }

    const PlanRules& rules() const { return rules_; }
    std::deque<Request>& requests() { return requests_; }
    std::deque<std::unique_ptr<Operation>>& operations() { return operations_; }

 private:
    const PlanRules rules_;
    std::deque<Request> requests_;
    RequestQueue queue_;
    std::deque<std::unique_ptr<Operation>> operations_;
};

TEST(Planner, JoinsNeighboursWhereverTheirMemoryLies) {
    Planning plan(rules());
    for (uint64_t i = 0; i < 256; ++i)
        plan.read(0x100000 + (i * 7919 % 4096) * kBlock, i * 4096, 4096);
    const Operation& operation = plan.next();
    EXPECT_TRUE(plan.done());
    EXPECT_EQ(operation.kind, OperationKind::kDirect);
    EXPECT_EQ(operation.begin, 0U);
    EXPECT_EQ(operation.length, kMiB);
    EXPECT_EQ(operation.pieces.size(), 256U);
    EXPECT_EQ(operation.pieces[3].memory, at(0x100000 + (3 * 7919 % 4096) * kBlock));
}

TEST(Planner, DoesNotJoinAcrossGapOverlapOrOperation) {
    Planning plan(rules());
    plan.read(0x100000, 0, 4096);
    plan.read(0x200000, 8192, 4096);  // a gap
    plan.read(0x300000, 8192, 4096);  // the same again
    plan.write(0x400000, 12288, 4096);
    EXPECT_EQ(plan.planAll(), 4U);
}

TEST(Planner, SplitsALargeRequestAtTheLargestIo) {
    Planning plan(rules());
    plan.read(0x1000000, 4096, 4 * kMiB + 8192);
    ASSERT_EQ(plan.planAll(), 5U);
    EXPECT_EQ(plan.requests()[0].parts, 5U);
    EXPECT_EQ(plan.operations()[1]->begin, 4096 + kMiB);
    EXPECT_EQ(plan.operations()[1]->length, kMiB);
    EXPECT_EQ(plan.operations()[1]->pieces[0].memory, at(0x1000000 + kMiB));
    EXPECT_EQ(plan.operations()[4]->length, 8192U);
}

TEST(Planner, CopiesWritesWhereTheDeviceAsksForIt) {
    for (const DirectIo mode : {DirectIo::kAuto, DirectIo::kOn}) {
        PlanRules copying = rules(mode);
        copying.copyWrites = true;
        Planning plan(copying);
        plan.write(0x100000, 0, 4096);
        plan.write(0x200000, kMiB, kMiB);
        plan.read(0x300000, 4 * kMiB, kMiB);
        ASSERT_EQ(plan.planAll(), 6U);
        for (size_t i = 0; i < 5; ++i) {
            EXPECT_EQ(plan.operations()[i]->kind, OperationKind::kStaged) << i;
        }
        EXPECT_EQ(plan.operations()[5]->kind, OperationKind::kDirect) << "a read";
    }
}

TEST(Planner, KeepsToIovMax) {
    PlanRules small = rules();
    small.blockSize = small.memoryAlignment = 512;
    Planning plan(small);
    for (uint64_t i = 0; i < 1500; ++i) plan.read(0x100000 + i * 8192, i * 512, 512);
    ASSERT_EQ(plan.planAll(), 2U);
    EXPECT_EQ(plan.operations()[0]->pieces.size(), static_cast<uint32_t>(IOV_MAX));
    EXPECT_EQ(plan.operations()[1]->pieces.size(), 1500U - IOV_MAX);
}

// Case 39: what misaligned memory, offset or length needs.
TEST(Planner, StagesMisalignedMemory) {
    Planning plan(rules());
    plan.read(0x100001, 4096, 4096);
    const Operation& operation = plan.next();
    EXPECT_EQ(operation.kind, OperationKind::kStaged);
    EXPECT_EQ(operation.begin, 4096U);
    EXPECT_EQ(operation.length, 4096U);
    EXPECT_EQ(operation.lead, 0U);
}

TEST(Planner, TakesMemoryAsAlignedAsTheDeviceNeedsIt) {
    Planning plan(rules());
    plan.read(0x100200, 4096, 4096);
    EXPECT_EQ(plan.next().kind, OperationKind::kDirect);
}

TEST(Planner, StagesAnUnalignedReadInWholeBlocks) {
    Planning plan(rules());
    plan.read(0x100000, 5000, 10000);
    const Operation& operation = plan.next();
    EXPECT_EQ(operation.kind, OperationKind::kStaged);
    EXPECT_EQ(operation.begin, 4096U);
    EXPECT_EQ(operation.length, 12288U);
    EXPECT_EQ(operation.lead, 904U);
}

TEST(Planner, MergesTheEdgesOfAnUnalignedWrite) {
    Planning plan(rules());
    plan.write(0x100001, 5000, 10000);
    ASSERT_EQ(plan.planAll(), 3U);
    const Operation& head = *plan.operations()[0];
    EXPECT_EQ(head.kind, OperationKind::kMerge);
    EXPECT_EQ(head.begin, 4096U);
    EXPECT_EQ(head.lead, 904U);
    EXPECT_EQ(head.pieces[0].length, 3192U);
    const Operation& middle = *plan.operations()[1];
    EXPECT_EQ(middle.kind, OperationKind::kStaged);
    EXPECT_EQ(middle.begin, 8192U);
    EXPECT_EQ(middle.length, 4096U);
    const Operation& tail = *plan.operations()[2];
    EXPECT_EQ(tail.kind, OperationKind::kMerge);
    EXPECT_EQ(tail.begin, 12288U);
    EXPECT_EQ(tail.lead, 0U);
    EXPECT_EQ(tail.pieces[0].length, 2712U);
}

TEST(Planner, WritesTheMiddleDirectlyWhereMemoryAllows) {
    Planning plan(rules());
    plan.write(0x100000, 8192, 4096 * 3 + 100);
    ASSERT_EQ(plan.planAll(), 2U);
    EXPECT_EQ(plan.operations()[0]->kind, OperationKind::kDirect);
    EXPECT_EQ(plan.operations()[0]->length, 4096U * 3);
    EXPECT_EQ(plan.operations()[1]->kind, OperationKind::kMerge);
}

TEST(Planner, NeighboursThatFillABlockTogetherNeedNoMerge) {
    Planning plan(rules());
    for (uint64_t i = 0; i < 4096; ++i) plan.write(0x100001 + i * 16, i * 10, 10);
    ASSERT_EQ(plan.planAll(), 5U);
    // IOV_MAX pieces of 10 bytes end within a block: the rest of it is left to the next operation.
    for (size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(plan.operations()[i]->kind, OperationKind::kStaged) << i;
        EXPECT_EQ(plan.operations()[i]->length, 8192U) << i;
    }
}

TEST(Planner, ModeOffStagesEverything) {
    Planning plan(rules(DirectIo::kOff));
    plan.read(0x100000, 0, kMiB);
    ASSERT_EQ(plan.planAll(), 4U);
    for (const auto& operation : plan.operations()) {
        EXPECT_EQ(operation->kind, OperationKind::kStaged);
        EXPECT_EQ(operation->length, 256U << 10);
    }
}

TEST(Planner, ForbiddenJoiningIsNotDone) {
    Planning plan(rules());
    for (uint64_t i = 0; i < 8; ++i) plan.read(0x100000 + i * 4096, i * 4096, 4096);
    EXPECT_EQ(plan.planAll(Joining::kForbidden), 8U);
}

// Case 27.
TEST(Planner, RefusesWhatIsMalformed) {
    const PlanRules r = rules();
    char* const memory = at(0x1000);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 0, 8192, nullptr}), 0);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 8191, 1, nullptr}), 0);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 0, 0, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, nullptr, 0, 1, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 0, 8193, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 8192, 1, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 8193, 1, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, UINT64_MAX, 2, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, memory, 4096, UINT64_MAX - 4095, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {IoOp::kRead, at(UINT64_MAX - 4), 0, 16, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, 8192, {static_cast<IoOp>(7), memory, 0, 16, nullptr}), EINVAL);
}

// Case 39.
TEST(Planner, ModeOnRefusesMisaligned) {
    const PlanRules r = rules(DirectIo::kOn);
    EXPECT_EQ(refusal(r, kSize, {IoOp::kRead, at(0x1000), 4096, 4096, nullptr}), 0);
    EXPECT_EQ(refusal(r, kSize, {IoOp::kRead, at(0x1200), 4096, 4096, nullptr}), 0);
    EXPECT_EQ(refusal(r, kSize, {IoOp::kRead, at(0x1001), 4096, 4096, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, kSize, {IoOp::kRead, at(0x1000), 4095, 4096, nullptr}), EINVAL);
    EXPECT_EQ(refusal(r, kSize, {IoOp::kRead, at(0x1000), 4096, 512, nullptr}), EINVAL);
}

/// One byte after the other, what the planner must have made of the requests.
class PlannerProperties : public ::testing::TestWithParam<uint64_t> {};

struct Asked {
    IoOp op;
    uint64_t memory;
    uint64_t offset;
    uint64_t length;
};

TEST_P(PlannerProperties, EveryByteOnceInOrderWithinTheRules) {
    std::mt19937_64 random(GetParam());
    const auto pick = [&](uint64_t from, uint64_t to) {
        return std::uniform_int_distribution<uint64_t>(from, to)(random);
    };
    for (int round = 0; round < 40; ++round) {
        PlanRules r;
        r.mode = pick(0, 2) == 0 ? DirectIo::kOff : DirectIo::kAuto;
        r.blockSize = 512U << pick(0, 7);
        r.memoryAlignment = 4U << pick(0, 7);
        r.maxDirectBytes = std::max<uint32_t>(r.blockSize, 4096U << pick(0, 8));
        r.maxStagedBytes = std::max<uint32_t>(r.blockSize, 4096U << pick(0, 6));
        r.copyWrites = pick(0, 3) == 0;
        const Joining joining = pick(0, 4) == 0 ? Joining::kForbidden : Joining::kAllowed;

        Planning plan(r);
        std::vector<Asked> asked;
        uint64_t offset = 0;
        IoOp op = IoOp::kRead;
        const uint64_t unit = pick(0, 1) != 0 ? r.blockSize : 1;
        for (uint64_t i = pick(1, 1500); i-- > 0;) {
            if (pick(0, 9) == 0) offset = pick(0, 1 << 20) * unit;
            if (pick(0, 20) == 0) op = pick(0, 1) != 0 ? IoOp::kRead : IoOp::kWrite;
            const uint64_t most = pick(0, 30) == 0 ? 3 * r.maxDirectBytes : 3 * r.blockSize;
            const uint64_t length = std::max<uint64_t>(pick(1, most) / unit, 1) * unit;
            const uint64_t memory = 0x10000000 + pick(0, 1 << 20) * (pick(0, 3) != 0 ? 4096 : 1);
            asked.push_back({op, memory, offset, length});
            plan.add(op, memory, offset, length);
            offset += length;
        }
        plan.planAll(joining);

        size_t current = 0;    // request whose bytes come next
        uint64_t planned = 0;  // of its bytes
        std::map<const Request*, uint32_t> pieces;
        for (size_t o = 0; o < plan.operations().size(); ++o) {
            const Operation& operation = *plan.operations()[o];
            const bool direct = operation.kind == OperationKind::kDirect;
            ASSERT_EQ(operation.begin % r.blockSize, 0U);
            ASSERT_EQ(operation.length % r.blockSize, 0U);
            ASSERT_GT(operation.length, 0U);
            ASSERT_LT(operation.lead, r.blockSize);
            ASSERT_LE(operation.length, direct ? r.maxDirectBytes : r.maxStagedBytes);
            ASSERT_LE(operation.pieces.size(), static_cast<uint32_t>(IOV_MAX));
            ASSERT_GE(operation.pieces.size(), 1U);
            if (joining == Joining::kForbidden) {
                ASSERT_EQ(operation.pieces.size(), 1U);
            }

            uint64_t position = operation.begin + operation.lead;
            for (const Piece& piece : operation.pieces) {
                ASSERT_LT(current, asked.size());
                const Asked& want = asked[current];
                ASSERT_EQ(piece.request, &plan.requests()[current]);
                ASSERT_EQ(operation.op, want.op);
                ASSERT_EQ(position, want.offset + planned);
                ASSERT_EQ(piece.memory, at(want.memory + planned));
                ASSERT_GT(piece.length, 0U);
                if (direct) {
                    ASSERT_NE(r.mode, DirectIo::kOff);
                    ASSERT_FALSE(r.copyWrites && operation.op == IoOp::kWrite);
                    ASSERT_EQ(reinterpret_cast<uint64_t>(piece.memory) % r.memoryAlignment, 0U);
                    ASSERT_EQ(piece.length % r.blockSize, 0U);
                }
                ++pieces[piece.request];
                position += piece.length;
                planned += piece.length;
                ASSERT_LE(planned, want.length);
                if (planned == want.length) {
                    ++current;
                    planned = 0;
                }
            }
            const uint64_t end = operation.end();
            ASSERT_LE(position, end);
            if (operation.kind == OperationKind::kMerge) {
                ASSERT_EQ(operation.op, IoOp::kWrite);
                ASSERT_EQ(operation.length, r.blockSize);
                ASSERT_TRUE(operation.lead != 0 || position != end) << "nothing to merge with";
            } else if (operation.op == IoOp::kWrite || direct) {
                ASSERT_EQ(operation.lead, 0U);
                ASSERT_EQ(position, end);
            } else {
                ASSERT_LT(end - position, r.blockSize) << "reads blocks that nobody asked for";
            }

            // What could have been joined has been.
            if (o + 1 == plan.operations().size() || joining == Joining::kForbidden) continue;
            const Operation& next = *plan.operations()[o + 1];
            const uint64_t most = direct ? r.maxDirectBytes : r.maxStagedBytes;
            if (next.op == operation.op && next.kind == operation.kind &&
                operation.kind != OperationKind::kMerge && next.begin + next.lead == position &&
                operation.pieces.size() < IOV_MAX - 64) {
                ASSERT_GT(position - operation.begin + next.pieces[0].length, most);
            }
        }
        ASSERT_EQ(current, asked.size());
        for (const auto& [request, count] : pieces) ASSERT_EQ(request->parts, count);
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PlannerProperties, ::testing::Range<uint64_t>(0, 20));

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
