// SPDX-License-Identifier: Apache-2.0
#include "file_plan.h"

#include <gmock/gmock.h>

namespace mooncake::file_server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const FileEntry kA{"/a", {}, {}};
const FileEntry kB{"/b", 4096, {}};
const FileEntry kC{"/c", {}, {}};

TEST(FilePlan, WhatStaysIsNotTouched) {
    const FilePlan plan = planFiles({{kA}, {kB}}, {kB, kA});
    EXPECT_THAT(plan.remove, IsEmpty());
    EXPECT_THAT(plan.add, IsEmpty());
}

TEST(FilePlan, NewAndGone) {
    const FilePlan plan = planFiles({{kA}, {kB}}, {kB, kC});
    EXPECT_THAT(plan.remove, ElementsAre("/a"));
    EXPECT_THAT(plan.add, ElementsAre(kC));
    EXPECT_THAT(planFiles({}, {kC, kA}).add, ElementsAre(kC, kA));
    EXPECT_THAT(planFiles({{kC}, {kA}}, {}).remove, ElementsAre("/c", "/a"));
}

TEST(FilePlan, AnotherSizeOrIdIsAnotherFile) {
    const FileEntry larger{"/b", 8192, {}}, whole{"/b", {}, {}}, numbered{"/b", 4096, 5};
    for (const FileEntry& wanted : {larger, whole, numbered}) {
        const FilePlan plan = planFiles({{kA}, {kB}}, {kA, wanted});
        EXPECT_THAT(plan.remove, ElementsAre("/b"));
        EXPECT_THAT(plan.add, ElementsAre(wanted));
    }
}

TEST(FilePlan, WithdrawnFilesAreTriedAgain) {
    const FilePlan plan = planFiles({{kA, true}, {kB, true}, {kC}}, {kA, kC});
    EXPECT_THAT(plan.remove, ElementsAre("/a", "/b"));
    EXPECT_THAT(plan.add, ElementsAre(kA));
}

}  // namespace
}  // namespace mooncake::file_server
