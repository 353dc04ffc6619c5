// SPDX-License-Identifier: Apache-2.0
// What every directory promises of files.
#include <gmock/gmock.h>

#include <set>
#include <thread>
#include <vector>

#include "directory_fixture.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::HasSubstr;

TEST_P(DirectoryTest, AFileHasOneNumber) {
    const auto one = openDirectory(address()), other = openDirectory(address());
    const FileDescription description = describeFile();
    const auto added = one->addFile(description, soon());
    ASSERT_DONE(added);
    EXPECT_EQ(added->description, description);
    EXPECT_GT(added->number, 0u);
    EXPECT_FALSE(added->mount);
    EXPECT_EQ(other->addFile(description, soon())->number, added->number);
    EXPECT_NE(other->addFile(describeFile(), soon())->number, added->number);
    FileDescription larger = description;
    larger.size += 4096;
    EXPECT_FAILS(other->addFile(larger, soon()), Failure::kInvalid);
    larger.region_size = 0;
    EXPECT_FAILS(other->addFile(larger, soon()), Failure::kInvalid);
    EXPECT_EQ(one->files(soon())->size(), 2u);
}

TEST_P(DirectoryTest, ManyAddFilesAtOnce) {
    constexpr int kThreads = 8;
    const FileDescription shared = describeFile();
    std::vector<std::thread> threads;
    std::vector<FileNumber> numbers(kThreads), own(kThreads);
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            const auto directory = openDirectory(address());
            own[i] = directory->addFile(describeFile(), soon())->number;
            numbers[i] = directory->addFile(shared, soon())->number;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(std::set<FileNumber>(numbers.begin(), numbers.end()).size(), 1u);
    EXPECT_EQ(std::set<FileNumber>(own.begin(), own.end()).size(), size_t{kThreads});
}

TEST_P(DirectoryTest, OneClientMountsAFile) {
    Node one(address(), "a"), other(address(), "b");
    const Mount mount{one.client, "a", "a:12345", 1, "/dev/x"};
    EXPECT_EQ(infoOf(*other.directory, one.file).mount, mount);
    const auto twice = other.directory->mountFile(one.file, {0, "b", "b:1", 2, "/dev/y"}, soon());
    EXPECT_FAILS(twice, Failure::kConflict);
    EXPECT_THAT(twice.error().message, HasSubstr("'a'"));
    EXPECT_DONE(one.directory->mountFile(one.file, mount, soon())) << "the same again";
    EXPECT_DONE(other.directory->unmountFile(one.file, soon()));
    EXPECT_TRUE(infoOf(*other.directory, one.file).mount) << "only its client unmounts it";
    EXPECT_DONE(one.directory->unmountFile(one.file, soon()));
    EXPECT_DONE(one.directory->unmountFile(one.file, soon()));
    EXPECT_FALSE(infoOf(*other.directory, one.file).mount);
    EXPECT_DONE(other.directory->mountFile(one.file, {0, "b", "b:1", 2, "/dev/y"}, soon()));
    EXPECT_EQ(infoOf(*one.directory, one.file).mount->node, "b");
    EXPECT_FAILS(one.directory->mountFile(4711, mount, soon()), Failure::kNotFound);
}

TEST_P(DirectoryTest, AFileThatWasGivenUpIsAnotherOneWhenItComesBack) {
    Node one(address(), "a");
    const FileDescription description = infoOf(*one.directory, one.file).description;
    EXPECT_DONE(one.directory->unmountFile(one.file, soon()));
    EXPECT_DONE(one.directory->giveUpFile(one.file, soon()));
    EXPECT_DONE(one.directory->giveUpFile(one.file, soon())) << "again";
    EXPECT_EQ(infoOf(*one.directory, one.file).state, FileState::kGivenUp);
    EXPECT_FAILS(one.directory->mountFile(one.file, {}, soon()), Failure::kNotFound);
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kNotFound);
    EXPECT_FAILS(one.directory->giveUpFile(4711, soon()), Failure::kNotFound);
    EXPECT_EQ(freeIn(*one.directory, one.file), ~0u) << "not told of";
    const auto again = one.directory->addFile(description, soon());
    ASSERT_DONE(again);
    EXPECT_NE(again->number, one.file);
    EXPECT_EQ(again->state, FileState::kActive);
}

TEST_P(DirectoryTest, AScratchFileTakesItsObjectsAlong) {
    Node one(address(), "a");
    ObjectEntry entry;
    {
        auto other = openDirectory(address());
        ASSERT_DONE(other->join("b", soon()));
        FileDescription description = describeFile();
        description.scratch = true;
        const auto file = other->addFile(description, soon());
        ASSERT_DONE(file);
        EXPECT_DONE(other->mountFile(file->number, {0, "b", "b:1", 1, "/tmp/x"}, soon()));
        const auto region = one.directory->takeRegion(file->number, soon());
        ASSERT_DONE(region);
        entry = entryIn(*region);
        ASSERT_EQ(one.put("key", entry), ChangeOutcome::kDone);
        EXPECT_EQ(one.put("key", entryIn(one.take())), ChangeOutcome::kExists);
    }
    const Region mine = one.take();
    EXPECT_EQ(one.put("key", entryIn(mine)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("key"), entryIn(mine));
}

TEST_P(DirectoryTest, ALostDirectoryIsMadeAgain) {
    Node one(address());
    const auto adopted = one.directory->adoptRegion({one.file, 0}, 17, soon());
    ASSERT_DONE(adopted);
    EXPECT_EQ(adopted->generation, 17u);
    EXPECT_EQ(one.put("key", entryIn(*adopted)), ChangeOutcome::kDone);
    EXPECT_DONE(one.directory->sealRegion(adopted->id, 17, {4096, 1}, soon()));
    EXPECT_FAILS(one.directory->adoptRegion(adopted->id, 18, soon()), Failure::kConflict);
    std::set<RegionId> taken;
    for (int i = 0; i < 31; ++i) taken.insert(one.take().id);
    EXPECT_EQ(taken.size(), 31u);
    EXPECT_EQ(taken.count(adopted->id), 0u);
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kNoSpace);
}

}  // namespace
}  // namespace mooncake::store::test
