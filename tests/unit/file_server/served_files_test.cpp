// SPDX-License-Identifier: Apache-2.0
#include "served_files.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <map>
#include <set>
#include <vector>

#include "temp_dir.h"

namespace mooncake::file_server {
namespace {

using nvmeof_generic::TempDir;
using testing::ElementsAre;
using testing::IsEmpty;

/// Writes down what it is asked for.
class FakeRegistry : public FileRegistry {
 public:
    Result<FileBufferID> add(const std::string& path, uint64_t size, const LocalFileOptions&,
                             std::optional<FileBufferID> wanted) override {
        calls.push_back("add " + path + " " + std::to_string(size));
        if (failing.contains(path)) return Error{EIO, "it fails"};
        return ids[path] = wanted ? *wanted : ++last_;
    }
    bool remove(const std::string& path) override {
        calls.push_back("remove " + path);
        return !stuck.contains(path);
    }
    void withdraw(const std::vector<std::string>& paths) override {
        std::string call = "withdraw";
        for (const std::string& path : paths) call += " " + path;
        publications.push_back(call);
    }
    void beginBatch() override { publications.push_back("begin"); }
    std::vector<std::string> endBatch() override {
        publications.push_back("end");
        return std::exchange(refused, {});
    }
    bool serves(FileBufferID id) override { return !withdrawn.contains(id); }

    std::vector<std::string> take() { return std::exchange(calls, {}); }

    std::vector<std::string> calls;
    std::vector<std::string> publications;
    std::vector<std::string> refused;
    std::set<std::string> failing, stuck;
    std::set<FileBufferID> withdrawn;
    std::map<std::string, FileBufferID> ids;  // the last that each path was given

 private:
    FileBufferID last_ = 0;
};

class ServedFilesTest : public testing::Test {
 protected:
    ServedFiles::Outcome apply(const std::vector<FileEntry>& wanted) {
        return files_.apply(wanted, [] { return false; });
    }

    FakeRegistry registry_;
    ServedFiles files_{registry_};
    const FileEntry a_{"/a", 1, {}}, b_{"/b", 2, {}}, c_{"/c", 3, {}};
};

TEST_F(ServedFilesTest, ComesAndGoes) {
    EXPECT_EQ(apply({a_, b_}).added, 2u);
    EXPECT_THAT(registry_.take(), ElementsAre("add /a 1", "add /b 2"));
    const auto outcome = apply({b_, c_});
    EXPECT_EQ(outcome.added, 1u);
    EXPECT_EQ(outcome.removed, 1u);
    EXPECT_EQ(outcome.failed, 0u);
    EXPECT_THAT(registry_.take(), ElementsAre("remove /a", "add /c 3"));
    EXPECT_EQ(files_.count(), 2u);
    apply({b_, c_});
    EXPECT_THAT(registry_.take(), IsEmpty());
}

// However many files: each publication writes the record as a whole.
TEST_F(ServedFilesTest, PublishesOnceWhatComesAndOnceWhatGoes) {
    apply({a_, b_, c_});
    EXPECT_THAT(std::exchange(registry_.publications, {}), ElementsAre("begin", "end"));
    apply({{"/d", 1}});
    EXPECT_THAT(std::exchange(registry_.publications, {}),
                ElementsAre("withdraw /a /b /c", "begin", "end"));
    apply({{"/d", 1}});
    EXPECT_THAT(registry_.publications, IsEmpty());
}

// A record that is too large for its store.
TEST_F(ServedFilesTest, WhatCannotBePublishedIsNotServedAndIsTriedAgain) {
    registry_.refused = {"/b"};
    const auto outcome = apply({a_, b_, c_});
    EXPECT_EQ(outcome.added, 2u);
    EXPECT_EQ(outcome.failed, 1u);
    ASSERT_EQ(outcome.failures.size(), 1u);
    EXPECT_EQ(outcome.failures[0].first, "/b");
    EXPECT_EQ(files_.count(), 2u);
    registry_.take();
    EXPECT_EQ(apply({a_, b_, c_}).added, 1u);
    EXPECT_THAT(registry_.take(), ElementsAre("add /b 2"));
}

// Whichever of them are there, in whatever order.
TEST_F(ServedFilesTest, NumbersAreTheSameAtEachStart) {
    apply({a_, b_, c_});
    const auto first = registry_.ids;
    FakeRegistry second;
    second.failing = {"/a"};
    ServedFiles later{second};
    later.apply({c_, a_, b_}, [] { return false; });
    EXPECT_EQ(second.ids, (std::map<std::string, FileBufferID>{{"/b", first.at("/b")},
                                                               {"/c", first.at("/c")}}));
    // Comes later, and has its number.
    second.failing = {};
    later.apply({c_, a_, b_}, [] { return false; });
    EXPECT_EQ(second.ids, first);
}

TEST_F(ServedFilesTest, AFileHasTheNumberThatItsSectionSays) {
    apply({{"/a", 1, 7}, {"/b", 2, 65535u}, c_});
    EXPECT_EQ(registry_.ids["/a"], 7u);
    EXPECT_EQ(registry_.ids["/b"], 65535u);
    registry_.take();
    apply({{"/a", 1, 8}, {"/b", 2, 65535u}, c_});
    EXPECT_THAT(registry_.take(), ElementsAre("remove /a", "add /a 1"));
    EXPECT_EQ(registry_.ids["/a"], 8u);
    // 7 was a's: what old controllers know must not become another file.
    apply({{"/a", 1, 8}, {"/b", 2, 7}, c_});
    EXPECT_NE(registry_.ids["/b"], 7u);
}

// One bad file costs itself alone, and is tried again.
TEST_F(ServedFilesTest, ABadFileStopsNobody) {
    registry_.failing = {"/b"};
    EXPECT_EQ(apply({a_, b_, c_}).failed, 1u);
    EXPECT_EQ(files_.count(), 2u);
    registry_.take();
    registry_.failing = {};
    EXPECT_EQ(apply({a_, b_, c_}).added, 1u);
    EXPECT_THAT(registry_.take(), ElementsAre("add /b 2"));
}

TEST_F(ServedFilesTest, AWithdrawnFileIsServedAnew) {
    apply({a_, b_});
    registry_.take();
    const FileBufferID first = registry_.ids["/a"];
    registry_.withdrawn = {first};
    apply({a_, b_});
    EXPECT_THAT(registry_.take(), ElementsAre("remove /a", "add /a 1"));
    EXPECT_NE(registry_.ids["/a"], first) << "old controllers may still know it by that";
    apply({a_, b_});
    EXPECT_THAT(registry_.take(), IsEmpty()) << "it has a new number";
}

// Case 19: a hung disk keeps its file.
TEST_F(ServedFilesTest, AFileThatIsHeldStaysAndIsTriedAgain) {
    apply({a_, b_});
    registry_.take();
    registry_.stuck = {"/a"};
    EXPECT_EQ(apply({b_}).failed, 1u);
    EXPECT_EQ(files_.count(), 2u);
    EXPECT_EQ(apply({{"/a", 8, {}}, b_}).failed, 1u);
    EXPECT_THAT(registry_.take(), ElementsAre("remove /a", "remove /a"))
        << "what is held is not added";
    registry_.stuck = {};
    EXPECT_EQ(apply({b_}).removed, 1u);
    EXPECT_EQ(files_.count(), 1u);
}

TEST_F(ServedFilesTest, StopsInTheMiddle) {
    apply({a_, b_});
    registry_.take();
    int left = 2;
    files_.apply({c_}, [&] { return left-- == 0; });
    EXPECT_THAT(registry_.take(), ElementsAre("remove /a", "remove /b"));
    files_.apply({c_}, [] { return true; });
    EXPECT_THAT(registry_.take(), IsEmpty());
}

// Case 10, and a file without a size is served whole.
TEST_F(ServedFilesTest, LooksAtTheFile) {
    TempDir dir;
    const std::string whole = dir.file("whole", 12345);
    const auto outcome = apply({{whole, {}, {}},
                                {dir.path(), {}, {}},
                                {dir.path() + "/none", {}, {}},
                                {dir.file("x", 0), {}, {}}});
    EXPECT_EQ(outcome.added, 1u);
    EXPECT_EQ(outcome.failed, 3u);
    EXPECT_THAT(registry_.take(), ElementsAre("add " + whole + " 12345"));
}

TEST_F(ServedFilesTest, ServesNothingBelowAFolderWhereNothingIsMounted) {
    nvmeof_generic::TempDir dir;
    const std::string file = dir.file("file", 8192);
    FileEntry entry{file, {}};
    entry.mount = dir.path();
    EXPECT_EQ(apply({entry}).failed, 1u);
    entry.mount = dir.path() + "/none";
    EXPECT_EQ(apply({entry}).failed, 1u);
    entry.mount = "/proc";
    EXPECT_EQ(apply({entry}).added, 1u);
}

}  // namespace
}  // namespace mooncake::file_server
