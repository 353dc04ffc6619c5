// SPDX-License-Identifier: Apache-2.0
#include "export_plan.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Case 7: size 0, above the physical size, not a multiple of the block.
TEST(ExportPlan, RefusesWhatTheFileDoesNotHave) {
    const FileGeometry geometry{kMiB, 4096, 4096};
    for (const uint64_t wanted : {uint64_t{0}, uint64_t{4095}, kMiB + 1, ~uint64_t{0}}) {
        const auto plan = planExport(geometry, wanted, "'f'");
        ASSERT_FALSE(plan.ok()) << wanted;
        EXPECT_EQ(plan.error().code, EINVAL);
        EXPECT_NE(plan.error().message.find("'f'"), std::string::npos);
    }
    EXPECT_FALSE(planExport({0, 4096, 4096}, 0, "'f'").ok());
}

TEST(ExportPlan, ExportsAWholeFileDirectly) {
    const auto plan = planExport({kMiB, 4096, 4096}, kMiB, "'f'");
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan.value().size, kMiB);
    EXPECT_EQ(plan.value().blockSize, 4096u);
    EXPECT_FALSE(plan.value().throughLoop);
}

TEST(ExportPlan, RoundsDownToTheBlockAsTheKernelDoes) {
    const auto plan = planExport({kMiB + 100, 4096, 4096}, kMiB + 100, "'f'");
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan.value().size, kMiB);
    EXPECT_FALSE(plan.value().throughLoop);
}

// Case 8: a size below the physical one.
TEST(ExportPlan, CutsAPartOffWithALoopDevice) {
    const auto plan = planExport({kMiB, 4096, 4096}, 8192 + 1, "'f'");
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan.value().size, 8192u);
    EXPECT_TRUE(plan.value().throughLoop);
}

TEST(ExportPlan, LeavesNoDoubtAboutTheBlockSize) {
    // A multiple of every block size in question: the same size either way.
    EXPECT_FALSE(planExport({kMiB, 4096, 1024}, kMiB, "'f'").value().throughLoop);
    // nvmet might export 1024 bytes more than published.
    const auto doubtful = planExport({kMiB + 1024, 4096, 1024}, kMiB + 1024, "'f'");
    EXPECT_EQ(doubtful.value().size, kMiB);
    EXPECT_TRUE(doubtful.value().throughLoop);
    // nvmet would give it blocks of one byte.
    EXPECT_TRUE(planExport({kMiB, 4096, 0}, kMiB, "'f'").value().throughLoop);
}

TEST(ExportPlan, TakesTheBlocksOfADevice) {
    const auto plan = planExport({kMiB, 512, 512}, kMiB - 1, "'d'");
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan.value().size, kMiB - 512);
    EXPECT_EQ(plan.value().blockSize, 512u);
    EXPECT_TRUE(plan.value().throughLoop);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
