// SPDX-License-Identifier: Apache-2.0
#include "file_table.h"

#include <gtest/gtest.h>

#include <functional>

#include "directory_stub.h"

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
    table.setOwn(number, 1);
    Changes before;
    before.complete = true;
    table.apply(before);
    ASSERT_TRUE(table.files()->contains(number));
    EXPECT_TRUE(table.files()->at(number).isServed());
    table.setOwn(number, std::nullopt);
    table.apply(before);
    EXPECT_TRUE(table.files()->empty());
}

}  // namespace
}  // namespace mooncake::store
