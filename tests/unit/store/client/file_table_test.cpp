// SPDX-License-Identifier: Apache-2.0
#include "file_table.h"

#include <gtest/gtest.h>

#include <functional>

#include "directory_stub.h"
#include "placer.h"

namespace mooncake::store {
namespace {

// Something happens between its reading of the files and its answer.
class SlowDirectory : public DirectoryStub {
 public:
    std::function<void()> meanwhile;

    Result<std::vector<FileInfo>> files(Deadline deadline) override {
        auto all = DirectoryStub::files(deadline);
        if (const auto once = std::exchange(meanwhile, nullptr)) once();
        return all;
    }
};

TEST(FileTableTest, AnOlderLookReplacesNoNewerOne) {
    SlowDirectory directory;
    Ways ways(nullptr);
    FileTable table(directory, ways, "node");
    const FileNumber number = directory.addKnownFile().info.number;
    directory.meanwhile = [&] {
        ASSERT_TRUE(directory.mountFile(number, Mount{0, "node", "segment", 1, "/file"},
                                        DirectoryStub::soon()));
        Changes told;
        told.files = *directory.real().files(DirectoryStub::soon());
        table.apply(told);
    };
    ASSERT_TRUE(table.refresh(DirectoryStub::soon()));
    EXPECT_TRUE(table.files()->at(number).isServed());
}

// A look from before a mount knows nothing of the file.
TEST(FileTableTest, WhatThisClientServesStays) {
    DirectoryStub directory;
    Ways ways(nullptr);
    FileTable table(directory, ways, "node");
    const FileNumber number = directory.addKnownFile().info.number;
    ASSERT_TRUE(table.refresh(DirectoryStub::soon()));
    table.setOwn(number, OwnFile{1, table.files()->at(number).info.description.uuid});
    Changes before;
    before.complete = true;
    table.apply(before);
    ASSERT_TRUE(table.files()->contains(number));
    EXPECT_TRUE(table.files()->at(number).isServed());
    table.setOwn(number, std::nullopt);
    table.apply(before);
    EXPECT_TRUE(table.files()->empty());
}

// The directory was set back, and has given the number of a file that this client serves to another
// one.
TEST(FileTableTest, AnotherFileOfThatNumberIsNotServedHere) {
    DirectoryStub directory;
    Ways ways(nullptr);
    FileTable table(directory, ways, "node");
    const KnownFile file = directory.addKnownFile();
    const FileNumber number = file.info.number;
    ASSERT_TRUE(table.refresh(DirectoryStub::soon()));
    table.setOwn(number, OwnFile{1, file.info.description.uuid});
    ASSERT_TRUE(table.files()->at(number).own);
    Changes changes;
    changes.files = {file.info};
    changes.files[0].description.uuid = Uuid::random();
    table.apply(changes);
    EXPECT_FALSE(table.files()->at(number).own);
    EXPECT_FALSE(table.wayTo(table.files()->at(number)));
}

// Nobody has counted its regions yet: it is taken for empty, and gets its share of puts.
TEST(FileTableTest, ANewFileCountsAsEmpty) {
    DirectoryStub directory;
    Ways ways(nullptr);
    FileTable table(directory, ways, "node");
    const FileNumber full = directory.addKnownFile(32).info.number;
    ASSERT_TRUE(directory.mountFile(full, Mount{0, "a", "a:1", 1, "/a"}, DirectoryStub::soon()));
    ASSERT_TRUE(table.refresh(DirectoryStub::soon()));
    while (directory.takeRegion(full, DirectoryStub::soon())) {
    }
    ASSERT_TRUE(table.refreshClean(DirectoryStub::soon()));
    const FileNumber empty = directory.addKnownFile(32).info.number;
    ASSERT_TRUE(directory.mountFile(empty, Mount{0, "b", "b:1", 1, "/b"}, DirectoryStub::soon()));
    ASSERT_TRUE(table.refresh(DirectoryStub::soon()));
    int to_empty = 0;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        Placer placer(table.files(), {}, seed);
        to_empty += placer.choose(1).at(0)->info.number == empty;
    }
    EXPECT_GT(to_empty, 75);
}

}  // namespace
}  // namespace mooncake::store
