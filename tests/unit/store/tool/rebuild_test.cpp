// SPDX-License-Identifier: Apache-2.0
// A lost directory is made again from the files.
#include <chrono>
#include <fstream>
#include <thread>

#include "tool_fixture.h"

namespace mooncake::test {
namespace {

using testing::HasSubstr;

using RebuildByTheTool = ToolTest;

TEST_P(RebuildByTheTool, ObjectsComeBackWithTheirBytes) {
    std::string store;
    {
        const auto one = nodeWithFile("one", 12);
        for (int i = 0; i < 30; ++i) {
            ASSERT_EQ(put(*one, "key" + std::to_string(i), 300000 + i), ErrorCode::OK);
        }
        ReplicateConfig pinned;
        pinned.with_hard_pin = true;
        ASSERT_EQ(put(*one, "pinned", 9000000, pinned), ErrorCode::OK);
        const Said served = tool({"rebuild", fileOf("one")});
        EXPECT_EQ(served.status, 1);
        EXPECT_THAT(served.err, HasSubstr("is served"));
        store = ask({"status"})["store"].asString();
    }
    loseDirectory();
    const Json::Value rebuilt = ask({"rebuild", fileOf("one")});
    EXPECT_EQ(rebuilt["files"], 1);
    EXPECT_EQ(rebuilt["objects"], 31);
    EXPECT_EQ(ask({"status"})["store"], store);
    EXPECT_EQ(ask({"status"})["files"][0]["open_regions"], 0);

    const auto back = node("one");
    ASSERT_EQ(mount(*back, fileOf("one")), ErrorCode::OK) << Client::LastError();
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(get(*back, "key" + std::to_string(i), 300000 + i), ErrorCode::OK) << i;
    }
    EXPECT_EQ(get(*back, "pinned", 9000000), ErrorCode::OK);
    EXPECT_TRUE(ask({"list", "pinned"})["objects"][0]["hard_pin"].asBool());
    // New objects go where nothing lies.
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(put(*back, "new" + std::to_string(i), 300000), ErrorCode::OK);
    }
    const Json::Value verified = ask({"verify"});
    EXPECT_EQ(verified["objects"], 41);
    EXPECT_TRUE(verified["damaged"].empty());
}

TEST_P(RebuildByTheTool, EachNodeAddsItsCopies) {
    {
        const auto one = nodeWithFile("one", 8);
        const auto two = nodeWithFile("two", 8);
        ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
        ReplicateConfig config;
        config.replica_num = 2;
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(put(*one, "key" + std::to_string(i), 300000, config), ErrorCode::OK);
        }
    }
    loseDirectory();
    EXPECT_EQ(ask({"rebuild", fileOf("one")})["objects"], 10);
    const Json::Value second = ask({"rebuild", fileOf("two")});
    EXPECT_EQ(second["objects"], 0);
    EXPECT_EQ(second["copies"], 10);
    const Json::Value objects = ask({"list"})["objects"];
    for (const Json::Value& object : objects) {
        EXPECT_EQ(object["copies"].size(), 2u);
    }
    // The second one's copies alone have the bytes, too.
    const auto two = node("two");
    ASSERT_EQ(mount(*two, fileOf("two")), ErrorCode::OK) << Client::LastError();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(get(*two, "key" + std::to_string(i), 300000), ErrorCode::OK) << i;
    }
}

// An upsert puts the new bytes on another node, and leaves the old ones where they are.
TEST_P(RebuildByTheTool, TheNewestPutCountsInWhateverOrderTheNodesCome) {
    {
        const auto one = nodeWithFile("one", 8);
        const auto two = nodeWithFile("two", 8);
        ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
        ReplicateConfig config;
        config.preferred_segment = "one";
        ASSERT_EQ(put(*one, "key", 300000, config), ErrorCode::OK);
        // Of two puts of one millisecond none is newer.
        const auto now = [] {
            return std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch());
        };
        for (const auto before = now(); now() <= before;) std::this_thread::yield();
        config.preferred_segment = "two";
        std::string bytes = contentOf("key", 200000);
        std::vector<std::vector<Slice>> slices{{{bytes.data(), bytes.size()}}};
        ASSERT_TRUE(two->BatchUpsert({"key"}, slices, config)[0]);
        EXPECT_EQ(get(*two, "key", 200000), ErrorCode::OK);
    }
    for (const auto& order : {std::pair("one", "two"), std::pair("two", "one")}) {
        loseDirectory();
        ask({"rebuild", fileOf(order.first)});
        ask({"rebuild", fileOf(order.second)});
        EXPECT_EQ(ask({"list"})["objects"][0]["bytes"], 200000) << order.first << " first";
        const auto one = node("one");
        const auto two = node("two");
        ASSERT_EQ(mount(*one, fileOf("one")), ErrorCode::OK) << Client::LastError();
        ASSERT_EQ(mount(*two, fileOf("two")), ErrorCode::OK) << Client::LastError();
        ASSERT_TRUE(knowsFiles(*one, 2));
        EXPECT_EQ(get(*one, "key", 200000), ErrorCode::OK) << order.first << " first";
    }
}

TEST_P(RebuildByTheTool, WhatDoesNotFitIsRefused) {
    { const auto one = nodeWithFile("one", 8); }
    const std::string empty = folder.file("empty", 9 * kMiB);
    EXPECT_THAT(tool({"rebuild", empty}).err, HasSubstr("no superblock"));
    EXPECT_THAT(tool({"rebuild", folder.path() + "/none"}).err, HasSubstr("/none"));
    loseDirectory();
    EXPECT_THAT(tool({"rebuild", fileOf("one"), fileOf("one")}).err, HasSubstr("named twice"));
    // Somebody has made another one meanwhile.
    { const auto other = node("other"); }
    const Said foreign = tool({"rebuild", fileOf("one")});
    EXPECT_EQ(foreign.status, 1);
    EXPECT_THAT(foreign.err, HasSubstr("the directory is of store"));
}

TEST_P(RebuildByTheTool, AFileThatIsKnownIsNotMadeAgain) {
    {
        const auto one = nodeWithFile("one", 8);
        ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    }
    const Said known = tool({"rebuild", fileOf("one")});
    EXPECT_EQ(known.status, 1);
    EXPECT_THAT(known.err, HasSubstr("is known to the directory already"));
    const auto back = node("one");
    ASSERT_EQ(mount(*back, fileOf("one")), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*back, "key", 300000), ErrorCode::OK);
}

INSTANTIATE_TEST_SUITE_P(Tool, RebuildByTheTool, testing::ValuesIn(directoryKinds()),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace mooncake::test
