// SPDX-License-Identifier: Apache-2.0
#include "file_numbers.h"

#include <gmock/gmock.h>

#include <map>
#include <random>
#include <set>

namespace mooncake::test {
namespace {

using testing::ElementsAre;
using File = FileNumbers::File;

File file(uint32_t id, const std::string& path, const std::string& uuid = "", size_t size = 4096) {
    File made;
    made.id = id;
    made.path = path;
    made.size = size;
    made.uuid = uuid;
    return made;
}

class FileNumbersTest : public ::testing::Test {
 protected:
    // The numbers of these files, in their order.
    std::vector<uint32_t> see(std::vector<File> files) {
        numbers_.assign(&files);
        last_ = files;
        std::vector<uint32_t> ids;
        for (const File& one : files) ids.push_back(one.id);
        return ids;
    }

    FileNumbers numbers_;
    std::vector<File> last_;
};

constexpr uint32_t kFresh = NumberSet::kHighest;

TEST_F(FileNumbersTest, TheFirstNumberIsThePublishedOne) {
    EXPECT_THAT(see({file(1, "/a", "A"), file(7, "/b", "B")}), ElementsAre(1, 7));
    EXPECT_EQ(last_[0].nsid, 0u) << "the same";
    EXPECT_FALSE(last_[0].nsid_is_its_too);
}

// The node came back without a.
TEST_F(FileNumbersTest, AFileKeepsItsNumber) {
    see({file(1, "/a", "A"), file(2, "/b", "B"), file(3, "/c", "C")});
    EXPECT_THAT(see({file(1, "/b", "B"), file(2, "/c", "C")}), ElementsAre(2, 3));
    EXPECT_EQ(last_[0].nsid, 1u);
    EXPECT_EQ(last_[1].nsid, 2u);
    EXPECT_FALSE(last_[0].nsid_is_its_too) << "1 is a's";
    EXPECT_THAT(see({file(1, "/a", "A"), file(2, "/c", "C")}), ElementsAre(1, 3));
}

TEST_F(FileNumbersTest, ANewFileDoesNotGetTheNumberOfAnOldOne) {
    see({file(1, "/a", "A"), file(2, "/b", "B")});
    // a was deleted and made anew.
    EXPECT_THAT(see({file(1, "/a", "A2"), file(2, "/b", "B")}), ElementsAre(kFresh, 2));
    EXPECT_EQ(last_[0].nsid, 1u);
    EXPECT_THAT(see({file(3, "/c", "C"), file(1, "/d", "D")}), ElementsAre(3, kFresh - 1));
    EXPECT_THAT(see({file(2, "/a", "A2")}), ElementsAre(kFresh));
}

// A new file's own number goes before one that another file could be given.
TEST_F(FileNumbersTest, NewNumbersAreNobodysPublishedOnes) {
    see({file(1, "/a", "A")});
    EXPECT_THAT(see({file(1, "/b", "B"), file(kFresh, "/c", "C")}),
                ElementsAre(kFresh - 1, kFresh));
}

// Registered again on its node, which tells others the new number by another way.
TEST_F(FileNumbersTest, AFreeNumberOfAKnownFileIsItsToo) {
    see({file(1, "/a", "A")});
    EXPECT_THAT(see({file(2, "/a", "A")}), ElementsAre(1));
    EXPECT_EQ(last_[0].nsid, 2u);
    EXPECT_TRUE(last_[0].nsid_is_its_too);
    EXPECT_THAT(see({file(2, "/b", "B")}), ElementsAre(kFresh)) << "2 is a's";
    see({file(2, "/a", "A")});
    EXPECT_TRUE(last_[0].nsid_is_its_too) << "still";
    see({file(kFresh, "/a", "A")});
    EXPECT_FALSE(last_[0].nsid_is_its_too) << "b's";
}

TEST_F(FileNumbersTest, WithoutUuidsPathAndSizeCount) {
    see({file(1, "/a"), file(2, "/b")});
    EXPECT_THAT(see({file(2, "/a"), file(1, "/b")}), ElementsAre(1, 2));
    EXPECT_THAT(see({file(1, "/a", "", 8192)}), ElementsAre(kFresh)) << "another size";
    EXPECT_THAT(see({file(1, "/a", "A")}), ElementsAre(kFresh - 1)) << "a uuid";
}

TEST_F(FileNumbersTest, AUuidThatTwoFilesHaveIsNobodys) {
    see({file(1, "/a", "X"), file(2, "/b", "X")});
    EXPECT_THAT(see({file(2, "/b", "X"), file(1, "/a", "X")}), ElementsAre(2, 1));
    EXPECT_THAT(see({file(2, "/a", "X"), file(1, "/b", "X")}), ElementsAre(kFresh, kFresh - 1));
    EXPECT_THAT(see({file(1, "/a", "X")}), ElementsAre(kFresh - 2));
}

// Whatever a node does, no number ever means a second file; and memory is bounded.
TEST_F(FileNumbersTest, NoNumberEverMeansTwoFiles) {
    std::mt19937 random(1);
    std::map<uint32_t, std::string> meaning;
    for (int round = 0; round < 3000; ++round) {
        std::vector<File> files;
        std::set<uint32_t> ids;
        for (int i = 0; i < 20; ++i) {
            const std::string name = "u" + std::to_string(random() % 30000);
            const uint32_t id = random() % 2 == 0 ? 1 + random() % 50 : kFresh - random() % 50;
            if (ids.insert(id).second) files.push_back(file(id, "/" + name, name));
        }
        std::map<std::string, int> count;
        for (const File& one : files) ++count[one.uuid];
        std::erase_if(files, [&](const File& one) { return count[one.uuid] > 1; });
        see(files);
        ASSERT_EQ(last_.size(), files.size());
        for (size_t i = 0; i < files.size(); ++i) {
            ASSERT_EQ(last_[i].uuid, files[i].uuid);
            const auto [known, isNew] = meaning.emplace(last_[i].id, last_[i].uuid);
            ASSERT_EQ(known->second, last_[i].uuid) << last_[i].id;
            const uint32_t nsid = last_[i].nsid != 0 ? last_[i].nsid : last_[i].id;
            ASSERT_EQ(nsid, files[i].id);
            if (!last_[i].nsid_is_its_too) continue;
            ASSERT_EQ(meaning.emplace(nsid, last_[i].uuid).first->second, last_[i].uuid) << nsid;
        }
        ASSERT_LE(numbers_.known(), FileNumbers::kMaxKnown);
    }
    EXPECT_GT(meaning.size(), FileNumbers::kMaxKnown) << "some were forgotten";
}

TEST(NumberSet, KeepsWhatItWasGiven) {
    NumberSet set;
    EXPECT_EQ(set.highestFree(), NumberSet::kHighest);
    EXPECT_FALSE(set.contains(0));
    for (const uint32_t number : {5u, 7u, 6u, 1u, UINT32_MAX, NumberSet::kHighest}) {
        set.insert(number);
        set.insert(number);
        EXPECT_TRUE(set.contains(number));
    }
    EXPECT_EQ(set.ranges(), 3u);
    for (const uint32_t number : {0u, 2u, 4u, 8u}) EXPECT_FALSE(set.contains(number));
    EXPECT_EQ(set.highestFree(), NumberSet::kHighest - 1);
    set.insert(NumberSet::kHighest - 2);
    EXPECT_EQ(set.highestFree(), NumberSet::kHighest - 1);
    set.insert(NumberSet::kHighest - 1);
    EXPECT_EQ(set.highestFree(), NumberSet::kHighest - 3);
}

TEST(NumberSet, ForgetsNothingWhenItIsFull) {
    std::mt19937 random(1);
    for (const size_t most : {1, 2, 7, 64}) {
        NumberSet set(most);
        std::vector<uint32_t> all;
        for (int i = 0; i < 1000; ++i) {
            all.push_back(1 + random() % NumberSet::kHighest);
            set.insert(all.back());
            ASSERT_LE(set.ranges(), most);
        }
        for (const uint32_t number : all) EXPECT_TRUE(set.contains(number));
        const uint32_t free = set.highestFree();
        EXPECT_TRUE(free == 0 || !set.contains(free));
    }
}

TEST(NumberSet, SaysWhenAllAreUsed) {
    NumberSet set(1);
    set.insert(1);
    set.insert(NumberSet::kHighest);
    EXPECT_EQ(set.ranges(), 1u);
    EXPECT_EQ(set.highestFree(), 0u);
}

}  // namespace
}  // namespace mooncake::test
