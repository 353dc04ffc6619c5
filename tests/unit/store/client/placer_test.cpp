// SPDX-License-Identifier: Apache-2.0
#include "placer.h"

#include <gtest/gtest.h>

namespace mooncake::store {
namespace {

// Nodes "0", "1", ... with two files each, which have room.
std::shared_ptr<const FileMap> filesOf(int nodes) {
    auto files = std::make_shared<FileMap>();
    for (FileNumber number = 0; number < static_cast<FileNumber>(nodes) * 2; ++number) {
        KnownFile& file = (*files)[number];
        file.info.number = number;
        file.info.mount = Mount{1, std::to_string(number / 2), "segment", number, "/file"};
        file.geometry = {4 << 20, 8};
        file.load = std::make_shared<FileLoad>();
        file.load->clean = 8;
    }
    return files;
}

// What has begun on a node stays there, and another node has it only when that is full.
TEST(PlacerTest, ACopyStaysOnItsNodeAsLongAsThatHasRoom) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
        const auto files = filesOf(5);
        Placer placer(files, {}, seed);
        placer.exclude(6);
        const KnownFile* const next = placer.another({}, 1, "3");
        ASSERT_NE(next, nullptr);
        EXPECT_EQ(next->info.number, 7u);
        placer.exclude(7);
        ASSERT_NE(placer.another({}, 1, "3"), nullptr);
        placer.clearExcluded();
        const KnownFile* const elsewhere = placer.another({&files->at(6)}, 1, "3");
        ASSERT_NE(elsewhere, nullptr);
        EXPECT_NE(elsewhere->info.mount->node, "3") << "which has a copy";
    }
}

// Of a copy that lies in files of several nodes, all of these have it.
TEST(PlacerTest, EveryNodeOfACopyHasIt) {
    const auto files = filesOf(3);
    const Placer placer(files, {}, 1);
    std::vector<const KnownFile*> used;
    for (const FileNumber file : {0, 0, 2, 2}) placer.addFile(file, &used);
    EXPECT_EQ(used.size(), 2u);
    EXPECT_TRUE(Placer::isNodeOfOne(files->at(1), used));
    EXPECT_TRUE(Placer::isNodeOfOne(files->at(3), used));
    EXPECT_FALSE(Placer::isNodeOfOne(files->at(4), used));
}

}  // namespace
}  // namespace mooncake::store
