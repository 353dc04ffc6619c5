// SPDX-License-Identifier: Apache-2.0
// A machine that loses its power: of what was not flushed, nothing is there.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "backends.h"
#include "power_cut.h"

namespace mooncake::store::test {
namespace {

using Given = std::set<std::pair<RegionIndex, Generation>>;

class PowerCutTest : public testing::Test {
 protected:
    // The folder of a directory that was made before.
    PowerCutTest() {
        std::filesystem::create_directory(folder);
        Node first(address);
        file = first.file;
    }
    // Whoever writes on, after the power is back, into the regions that it gets.
    Given givenAfter(const PowerCut& cut) const {
        const std::string after = folder + ".after";
        std::filesystem::remove_all(after);
        cut.leaveIn(after);
        const auto directory = openDirectory("sqlite://" + after + "/store.db");
        EXPECT_DONE(directory->join("another", soon()));
        Given given;
        while (const auto region = directory->takeRegion(file, soon())) {
            given.emplace(region->id.index, region->generation);
        }
        return given;
    }

    // Removed with its folder.
    const std::unique_ptr<Backend> place = makeBackend("sqlite");
    const std::string folder = place->address().substr(std::string("sqlite://").size()) + ".folder";
    const std::string address = "sqlite://" + folder + "/store.db";
    FileNumber file = 0;
};

// An entry names the region and its generation: given twice, the bytes of two objects would have
// one place, and both would be right for their entries in turn.
TEST_F(PowerCutTest, ARegionIsGivenOnceWithAGeneration) {
    const PowerCut cut(folder);
    const auto directory = openDirectory(address);
    ASSERT_DONE(directory->join("node", soon()));
    Given given;
    const auto take = [&] {
        const auto region = directory->takeRegion(file, soon());
        EXPECT_DONE(region);
        given.emplace(region->id.index, region->generation);
        return *region;
    };
    const auto expectOnce = [&] {
        for (const auto& [index, generation] : givenAfter(cut)) {
            EXPECT_FALSE(given.contains({index, generation}))
                << "region " << index << " of generation " << generation;
        }
    };
    const Region first = take();
    expectOnce();
    take();
    expectOnce();
    // The same region again, with another content.
    ASSERT_DONE(directory->sealRegion(first.id, first.generation, {}, soon()));
    const auto begun = directory->beginClean(first.id, first.generation, soon());
    ASSERT_DONE(begun);
    ASSERT_DONE(directory->endClean(first.id, begun->generation, soon()));
    const Region again = take();
    EXPECT_EQ(again.id, first.id);
    EXPECT_GT(again.generation, first.generation);
    expectOnce();
}

// Nor where another connection has made the log, in which nothing was before.
TEST_F(PowerCutTest, ARegionIsGivenOnceWhoeverHasMadeTheLog) {
    const PowerCut cut(folder);
    const auto reader = openDirectory(address);
    ASSERT_DONE(reader->files(soon()));
    const auto directory = openDirectory(address);
    ASSERT_DONE(directory->join("node", soon()));
    const auto region = directory->takeRegion(file, soon());
    ASSERT_DONE(region);
    EXPECT_FALSE(givenAfter(cut).contains({region->id.index, region->generation}));
}

// So does one that is made its writer's by its name.
TEST_F(PowerCutTest, ARegionThatIsAdoptedIsGivenToNobodyElse) {
    const PowerCut cut(folder);
    const auto directory = openDirectory(address);
    ASSERT_DONE(directory->join("node", soon()));
    ASSERT_DONE(directory->adoptRegion({file, 3}, 1, soon()));
    for (const auto& [index, generation] : givenAfter(cut)) EXPECT_NE(index, 3u) << generation;
}

// What is committed later is not flushed for its own sake, and what was before is there.
TEST_F(PowerCutTest, WhatWasCommittedBeforeARegionWasGivenIsThere) {
    const PowerCut cut(folder);
    const auto directory = openDirectory(address);
    ASSERT_DONE(directory->join("node", soon()));
    const auto region = directory->takeRegion(file, soon());
    ASSERT_DONE(region);
    const auto put = [&](const std::string& key) {
        const auto done = directory->commit({{key, entryIn(*region)}}, soon());
        ASSERT_DONE(done);
        ASSERT_EQ(done->front(), ChangeOutcome::kDone);
    };
    put("before");
    ASSERT_DONE(directory->takeRegion(file, soon()));
    put("after");
    const std::string after = folder + ".left";
    cut.leaveIn(after);
    const auto left = openDirectory("sqlite://" + after + "/store.db");
    const auto entries = left->lookup({"before", "after"}, soon());
    ASSERT_DONE(entries);
    EXPECT_TRUE((*entries)[0]);
    EXPECT_FALSE((*entries)[1]) << "this test sees no difference";
}

}  // namespace
}  // namespace mooncake::store::test
