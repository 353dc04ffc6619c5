// SPDX-License-Identifier: Apache-2.0
#include "number_plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <set>

namespace mooncake::file_server {
namespace {

FileEntry file(const std::string& path, std::optional<FileBufferID> id = {}) {
    return {path, {}, id};
}

TEST(NumberPlan, ANumberFollowsFromThePathAlone) {
    const auto numbers = planNumbers({file("/srv/nvmeof/a"), file("/srv/nvmeof/b")});
    // These must not change from one version to the next.
    EXPECT_EQ(numbers.at("/srv/nvmeof/a"), 21675u);
    EXPECT_EQ(numbers.at("/srv/nvmeof/b"), 26206u);
    EXPECT_EQ(planNumbers({file("/srv/nvmeof/b")}).at("/srv/nvmeof/b"),
              numbers.at("/srv/nvmeof/b"));
}

TEST(NumberPlan, EachFileHasOne) {
    std::vector<FileEntry> files;
    for (int i = 0; i < 1024; ++i) files.push_back(file("/data/" + std::to_string(i)));
    const auto numbers = planNumbers(files);
    std::set<FileBufferID> all;
    for (const auto& [path, number] : numbers) {
        all.insert(number);
        EXPECT_GE(number, 4096u);
        EXPECT_LE(number, 65535u);
    }
    EXPECT_EQ(all.size(), 1024u);
    std::shuffle(files.begin(), files.end(), std::mt19937(1));
    EXPECT_EQ(planNumbers(files), numbers) << "also of those that collide";
}

TEST(NumberPlan, AGivenNumberIsKept) {
    const FileBufferID ofA = planNumbers({file("/a")}).at("/a");
    const auto numbers = planNumbers({file("/a"), file("/b", ofA), file("/c", 1)});
    EXPECT_EQ(numbers.at("/b"), ofA);
    EXPECT_EQ(numbers.at("/c"), 1u);
    EXPECT_EQ(numbers.at("/a"), ofA + 1) << "the next one that is free";
}

// Found by trying paths one after the other.
TEST(NumberPlan, TwoPathsWithOneNumberArePutInOrder) {
    std::unordered_map<FileBufferID, std::string> seen;
    std::string first, second;
    for (int i = 0; second.empty(); ++i) {
        const std::string path = "/x" + std::to_string(i);
        const auto [other, isNew] = seen.emplace(planNumbers({file(path)}).at(path), path);
        if (isNew) continue;
        first = std::min(other->second, path);
        second = std::max(other->second, path);
    }
    const FileBufferID number = planNumbers({file(first)}).at(first);
    for (const auto& files :
         {std::vector{file(first), file(second)}, std::vector{file(second), file(first)}}) {
        EXPECT_EQ(planNumbers(files).at(first), number);
        EXPECT_EQ(planNumbers(files).at(second), number + 1);
    }
}

}  // namespace
}  // namespace mooncake::file_server
