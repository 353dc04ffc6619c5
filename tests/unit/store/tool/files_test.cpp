// SPDX-License-Identifier: Apache-2.0
// Files by the tool: shown, emptied, forgotten, checked.
#include <sqlite3.h>

#include "tool_fixture.h"

namespace mooncake::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class FilesOfTheTool : public ToolTest {
 protected:
    static constexpr size_t kLarge = 1200000;
    static constexpr int kObjects = 12;

    static std::string key(int index) { return "key" + std::to_string(index); }
    Json::Value firstFile() const { return ask({"status"})["files"][0]; }
    std::string number(const std::string& node) const {
        const Json::Value status = ask({"status"});
        for (const Json::Value& file : status["files"]) {
            if (file["mount"]["node"] == node) return file["number"].asString();
        }
        return "none";
    }
};

// One that a look had made would have another id than the files.
TEST_P(FilesOfTheTool, ALookMakesNoDirectory) {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"status"}, {"list"}, {"check"}, {"evict", "1"}, {"forget", "--yes", "1"}}) {
        const Said none = tool(words);
        EXPECT_EQ(none.status, 1) << words[0];
        EXPECT_THAT(none.err, AllOf(HasSubstr("there is no"), HasSubstr("that its nodes use")));
    }
    EXPECT_EQ(tool({"status", "--json"}).json()["error"]["code"], "not found");
    { const auto one = nodeWithFile("one", 8); }
    EXPECT_EQ(tool({"status"}).status, 0);
    loseDirectory();
    EXPECT_EQ(tool({"check"}).status, 1);
    EXPECT_EQ(ask({"rebuild", fileOf("one")})["files"], 1);
}

TEST_P(FilesOfTheTool, AreShown) {
    { const auto first = node("first"); }
    EXPECT_THAT(tool({"status"}).out, HasSubstr("no file was ever mounted"));
    const auto one = nodeWithFile("one", 8);
    const auto two = nodeWithFile("two", 4);
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    const Json::Value status = ask({"status"});
    EXPECT_EQ(status["clients"].size(), 2u);
    ASSERT_EQ(status["files"].size(), 2u);
    const Json::Value file = status["files"][0];
    EXPECT_EQ(file["state"], "served");
    EXPECT_EQ(file["mount"]["node"], "one");
    EXPECT_EQ(file["mount"]["path"], fileOf("one"));
    EXPECT_EQ(file["regions"], 8);
    EXPECT_EQ(file["region_bytes"], 4 << 20);
    EXPECT_EQ(file["bytes"], 32 << 20);
    const Json::Value other = status["files"][1];
    EXPECT_EQ(file["open_regions"].asInt() + other["open_regions"].asInt(), 1);
    EXPECT_EQ(file["clean_regions"].asInt() + other["clean_regions"].asInt(), 11);
    EXPECT_THAT(tool({"status"}).out,
                AllOf(HasSubstr("2 clients"), HasSubstr("32.0 MiB"), HasSubstr(fileOf("two")),
                      HasSubstr("48.0 MiB in all")));
}

TEST_P(FilesOfTheTool, AreEmptiedRegionByRegion) {
    // A client that leaves seals its regions.
    {
        const auto one = nodeWithFile("one", 12);
        for (int i = 0; i < kObjects; ++i) ASSERT_EQ(put(*one, key(i), kLarge), ErrorCode::OK);
    }
    const auto one = node("one");
    ASSERT_EQ(mount(*one, fileOf("one")), ErrorCode::OK) << Client::LastError();
    const int sealed = firstFile()["sealed_regions"].asInt();
    ASSERT_GE(sealed, 3);
    const Json::Value evicted = ask({"evict", "--regions=2", number("one")});
    EXPECT_EQ(evicted["regions"], 2);
    EXPECT_GE(evicted["objects"].asInt(), 2);
    EXPECT_EQ(firstFile()["sealed_regions"].asInt(), sealed - 2);
    const int left = static_cast<int>(ask({"list"})["objects"].size());
    EXPECT_EQ(left, kObjects - evicted["objects"].asInt());
    // What is left has its bytes; what is not is a miss, and can be put again.
    int misses = 0;
    for (int i = 0; i < kObjects; ++i) {
        const ErrorCode got = get(*one, key(i), kLarge);
        misses += got == ErrorCode::OBJECT_NOT_FOUND ? 1 : 0;
        EXPECT_TRUE(got == ErrorCode::OK || got == ErrorCode::OBJECT_NOT_FOUND) << got;
    }
    EXPECT_EQ(misses, kObjects - left);
    for (int i = 0; i < kObjects; ++i) {
        ASSERT_EQ(put(*one, key(i), kLarge), ErrorCode::OK);
        ASSERT_EQ(get(*one, key(i), kLarge), ErrorCode::OK);
    }

    const Said too_many = tool({"evict", "--regions=1000", number("one")});
    EXPECT_EQ(too_many.status, 1) << "there are no more";
    EXPECT_EQ(tool({"evict", "99"}).status, 1);
}

TEST_P(FilesOfTheTool, PinnedObjectsStay) {
    {
        const auto one = nodeWithFile("one", 12);
        ReplicateConfig pinned;
        pinned.with_hard_pin = true;
        for (int i = 0; i < kObjects; ++i) {
            ASSERT_EQ(put(*one, key(i), kLarge, pinned), ErrorCode::OK);
        }
    }
    const auto one = node("one");
    ASSERT_EQ(mount(*one, fileOf("one")), ErrorCode::OK) << Client::LastError();
    ASSERT_GE(firstFile()["sealed_regions"].asInt(), 3);
    EXPECT_EQ(tool({"evict", "--regions=1000", number("one")}).status, 1);
    for (int i = 0; i < kObjects; ++i) EXPECT_EQ(get(*one, key(i), kLarge), ErrorCode::OK);
}

TEST_P(FilesOfTheTool, AreForgottenOnceNobodyServesThem) {
    const auto one = nodeWithFile("one", 8);
    auto two = nodeWithFile("two", 8);
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    ReplicateConfig config;
    config.preferred_segment = "two";
    ASSERT_EQ(put(*two, "alone", 300000, config), ErrorCode::OK);
    config.replica_num = 2;
    ASSERT_EQ(put(*two, "both", 300000, config), ErrorCode::OK);
    const std::string file = number("two");

    const Said served = tool({"forget", "--yes", file});
    EXPECT_EQ(served.status, 1);
    EXPECT_THAT(served.err, HasSubstr("unmount it there"));
    two.reset();
    const Said asked = tool({"forget", "--json", file});
    EXPECT_EQ(asked.status, 1);
    EXPECT_FALSE(asked.json()["forgotten"].asBool());
    EXPECT_EQ(asked.json()["copies"], 2);
    EXPECT_EQ(asked.json()["objects"], 1);
    EXPECT_EQ(ask({"list"})["objects"].size(), 2u);

    EXPECT_TRUE(ask({"forget", "--yes", file})["forgotten"].asBool());
    const Json::Value left = ask({"list"})["objects"];
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0]["key"], "both");
    EXPECT_EQ(left[0]["copies"].size(), 1u);
    EXPECT_EQ(get(*one, "both", 300000), ErrorCode::OK);
    const Json::Value status = ask({"status"});
    for (const Json::Value& known : status["files"]) {
        if (known["number"].asString() == file) {
            EXPECT_EQ(known["state"], "given up");
        }
    }
    EXPECT_EQ(ask({"forget", "--yes", file})["copies"], 0) << "again";
}

TEST_P(FilesOfTheTool, AreChecked) {
    { const auto first = node("first"); }
    EXPECT_THAT(tool({"check"}).out, HasSubstr("warn  no file is served"));
    {
        const auto one = nodeWithFile("one", 8);
        ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
        const Said good = tool({"check", "--objects"});
        EXPECT_EQ(good.status, 0) << good.out;
        EXPECT_THAT(good.out, AllOf(HasSubstr("ok    1 files are served by 1 clients"),
                                    HasSubstr("ok    1 objects")));
        EXPECT_THAT(good.out, testing::Not(HasSubstr("fail")));
    }
    const Said away = tool({"check", "--objects"});
    EXPECT_THAT(away.out, AllOf(HasSubstr("is served by nobody"),
                                HasSubstr("warn  1 objects cannot be reached")));
    bool found = false;
    const Json::Value report = ask({"check"});
    for (const Json::Value& one : report["checks"]) {
        found = found || one["result"] == "warn";
    }
    EXPECT_TRUE(found);
}

TEST_P(FilesOfTheTool, DamagedEntriesAreFound) {
    if (GetParam() != "sqlite") GTEST_SKIP() << "the database is changed from outside";
    const auto one = nodeWithFile("one", 8);
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(directory.c_str(), &database), SQLITE_OK);
    sqlite3_busy_timeout(database, 60000);
    EXPECT_EQ(sqlite3_exec(database, "UPDATE entry SET entry = substr(entry, 2)", nullptr, nullptr,
                           nullptr),
              SQLITE_OK);
    sqlite3_close(database);
    EXPECT_EQ(tool({"check"}).status, 0);
    const Said found = tool({"check", "--objects"});
    EXPECT_EQ(found.status, 1);
    EXPECT_THAT(found.out, HasSubstr("fail  1 entries are damaged"));
}

INSTANTIATE_TEST_SUITE_P(Tool, FilesOfTheTool, testing::ValuesIn(directoryKinds()),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace mooncake::test
