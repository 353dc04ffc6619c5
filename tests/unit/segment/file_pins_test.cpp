// SPDX-License-Identifier: Apache-2.0
#include "file_pins.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

RemoteFile file(uint32_t nsid, const std::string& identity, uint64_t size = 4096) {
    return {nsid, size, identity, "/" + identity};
}

class FilePinsTest : public ::testing::Test {
 protected:
    void see(const RemoteFiles& files, bool numbersLast = false) {
        RemoteDescriptor descriptor;
        descriptor.files = files;
        descriptor.numbersLast = numbersLast;
        pins_.see(descriptor);
    }
    // The nsid of a number's file, or the negative error.
    int64_t where(uint32_t number) const {
        const auto found = pins_.find(number);
        return found.ok() ? int64_t{found.value().nsid} : -found.error().code;
    }

    FilePins pins_;
};

TEST_F(FilePinsTest, ANumberThatNobodyPublishedIsUnknown) {
    EXPECT_EQ(where(1), -ENOENT);
    see({{1, file(1, "a")}});
    EXPECT_EQ(where(1), 1);
    EXPECT_EQ(where(2), -ENOENT);
    EXPECT_EQ(where(0), -ENOENT);
}

// The node came back without a; nothing slides.
TEST_F(FilePinsTest, AFileThatIsMissingShiftsNobody) {
    see({{1, file(1, "a")}, {2, file(2, "b")}, {3, file(3, "c")}});
    see({{1, file(1, "b")}, {2, file(2, "c")}});
    EXPECT_EQ(where(1), -ESTALE) << "a is not there";
    EXPECT_EQ(where(2), -ESTALE) << "b or c: who looked again means c";
    EXPECT_EQ(where(3), 2) << "nobody else has had this number: it is c";
}

// A program may have its numbers from the record between.
TEST_F(FilePinsTest, ANumberOfTwoFilesStaysOfNoUse) {
    see({{1, file(1, "a")}, {2, file(2, "b")}});
    see({{1, file(1, "b")}});
    see({{1, file(1, "a")}, {2, file(2, "b")}});
    EXPECT_EQ(where(1), -ESTALE);
    EXPECT_EQ(where(2), 2);
}

TEST_F(FilePinsTest, AFileIsThereAgainWhenItComesBack) {
    see({{1, file(1, "a")}, {2, file(2, "b")}});
    see({{2, file(2, "b")}});
    EXPECT_EQ(where(1), -ESTALE);
    see({{7, file(7, "a")}, {2, file(2, "b")}});
    EXPECT_EQ(where(1), 7);
    EXPECT_EQ(where(7), 7);
}

TEST_F(FilePinsTest, ANewFileUnderAnOldNumberIsAnotherFile) {
    see({{1, file(1, "a")}});
    see({{1, file(1, "a, made anew")}});
    EXPECT_EQ(where(1), -ESTALE);
}

TEST_F(FilePinsTest, TheNewSizeCounts) {
    see({{1, file(1, "a", 4096)}});
    see({{1, file(1, "a", 8192)}});
    EXPECT_EQ(pins_.find(1).value().size, 8192u);
}

// An engine that numbers the files says where each is now.
TEST_F(FilePinsTest, TheEnginesNumbersAreFollowed) {
    see({{1, file(1, "a")}, {2, file(2, "b")}}, true);
    see({{2, file(1, "b")}, {9, file(2, "d")}}, true);
    EXPECT_EQ(where(1), -ESTALE);
    EXPECT_EQ(where(2), 1);
    EXPECT_EQ(where(9), 2);
}

// Numbers that went from node to node by another way than the descriptor.
TEST_F(FilePinsTest, TheNsidIsANumberWhereTheEngineSaysSo) {
    RemoteFile again = file(3, "a"), moved = file(1, "b");
    again.nsidIsItsToo = true;
    see({{1, again}, {2, moved}}, true);
    EXPECT_EQ(where(3), 3);
    EXPECT_EQ(where(1), 3) << "not b, which its node exports under 1";
    EXPECT_EQ(where(2), 1);
    see({{1, file(8, "a")}}, true);
    EXPECT_EQ(where(3), 8);
}

TEST_F(FilePinsTest, SaysWhichFileAndWhatToDo) {
    see({{1, file(1, "a")}, {2, file(2, "b")}});
    see({{1, file(1, "b")}});
    const std::string gone = pins_.find(1).error().message;
    EXPECT_NE(gone.find("file 1 ('/a')"), std::string::npos) << gone;
    EXPECT_NE(gone.find("'/b'"), std::string::npos) << gone;
    see({});
    const std::string missing = pins_.find(2).error().message;
    EXPECT_NE(missing.find("file 2 ('/b')"), std::string::npos) << missing;
    EXPECT_NE(missing.find("register"), std::string::npos) << missing;
}

// A node whose files come and go for years.
TEST_F(FilePinsTest, WhatIsGoneForLongIsForgottenAndItsNumberNotUsedAgain) {
    see({{1, file(1, "stays")}, {2, file(2, "goes")}});
    for (uint32_t i = 3; i < 40000; ++i) {
        see({{1, file(1, "stays")}, {i, file(i, "f" + std::to_string(i))}});
        ASSERT_LE(pins_.size(), FilePins::kMost);
    }
    EXPECT_EQ(where(1), 1);
    EXPECT_EQ(where(2), -ESTALE);
    EXPECT_EQ(where(39999), 39999);
    see({{1, file(1, "stays")}, {2, file(2, "new")}});
    EXPECT_EQ(where(2), -ESTALE) << "it has been another file's";
    EXPECT_EQ(where(1), 1);
}

TEST_F(FilePinsTest, NumbersThatLastMayComeBack) {
    see({{1, file(1, "goes")}}, true);
    for (uint32_t i = 2; i < 20000; ++i) see({{i, file(i, "f" + std::to_string(i))}}, true);
    EXPECT_EQ(where(1), -ENOENT);
    see({{1, file(5, "goes")}}, true);
    EXPECT_EQ(where(1), 5);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
