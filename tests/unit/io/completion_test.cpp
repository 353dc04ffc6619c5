// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint32_t kBlock = 4096;

struct Case {
    uint32_t done;  // before
    uint32_t asked;
    int64_t result;
    Verdict::Step step;
    int error;
    uint32_t valid;
    uint32_t doneAfter;
};

class Judge : public ::testing::TestWithParam<Case> {};

// Case 4: every result of a transfer of 16 blocks.
TEST_P(Judge, NothingShortIsDone) {
    const Case& c = GetParam();
    Operation operation;
    operation.length = 16 * kBlock;
    operation.done = c.done;
    operation.asked = c.asked;
    const Verdict verdict = judge(operation, kBlock, c.result);
    EXPECT_EQ(verdict.step, c.step);
    EXPECT_EQ(verdict.error, c.error);
    EXPECT_EQ(verdict.valid, c.valid);
    EXPECT_EQ(operation.done, c.doneAfter);
}

constexpr uint32_t kAll = 16 * kBlock;

INSTANTIATE_TEST_SUITE_P(
    All, Judge,
    ::testing::Values(
        Case{0, kAll, kAll, Verdict::kDone, 0, kAll, 0},
        Case{kBlock, kAll - kBlock, kAll - kBlock, Verdict::kDone, 0, kAll, kBlock},
        // Short: from the last whole block on.
        Case{0, kAll, kBlock, Verdict::kRepeat, 0, kBlock, kBlock},
        Case{0, kAll, 3 * kBlock + 1, Verdict::kRepeat, 0, 3 * kBlock, 3 * kBlock},
        Case{0, kAll, kAll - 1, Verdict::kRepeat, 0, kAll - kBlock, kAll - kBlock},
        Case{kBlock, kAll - kBlock, 5 * kBlock, Verdict::kRepeat, 0, 6 * kBlock, 6 * kBlock},
        // Less was asked for than is left.
        Case{0, 2 * kBlock, 2 * kBlock, Verdict::kRepeat, 0, 2 * kBlock, 2 * kBlock},
        // No progress: the device has come to its end.
        Case{0, kAll, 0, Verdict::kEnded, ENODATA, 0, 0},
        Case{0, kAll, kBlock - 1, Verdict::kEnded, ENODATA, kBlock - 1, 0},
        Case{3 * kBlock, kAll - 3 * kBlock, 0, Verdict::kEnded, ENODATA, 3 * kBlock, 3 * kBlock},
        // Errors.
        Case{0, kAll, -EIO, Verdict::kFailed, EIO, 0, 0},
        Case{kBlock, kAll - kBlock, -ENOSPC, Verdict::kFailed, ENOSPC, kBlock, kBlock},
        Case{0, kAll, -EINTR, Verdict::kRepeat, 0, 0, 0},
        Case{0, kAll, -EAGAIN, Verdict::kRepeat, 0, 0, 0},
        // A result that cannot be.
        Case{0, kAll, int64_t{kAll} + 1, Verdict::kFailed, EIO, 0, 0},
        Case{0, kAll, INT64_MAX, Verdict::kFailed, EIO, 0, 0}));

TEST(Judging, RepetitionHasAnEnd) {
    Operation operation;
    operation.length = operation.asked = kBlock;
    int repetitions = 0;
    while (judge(operation, kBlock, -EAGAIN).step == Verdict::kRepeat) {
        ASSERT_LT(++repetitions, 1000);
    }
    EXPECT_GT(repetitions, 3);
}

// As long as it gets on, a device may take its time.
TEST(Judging, ProgressAllowsAsManyRepetitionsAgain) {
    Operation operation;
    operation.length = operation.asked = 2 * kBlock;
    for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(judge(operation, kBlock, -EAGAIN).step, Verdict::kRepeat) << round;
        }
        if (round == 0) {
            ASSERT_EQ(judge(operation, kBlock, kBlock).step, Verdict::kRepeat);
        }
        operation.asked = kBlock;
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
