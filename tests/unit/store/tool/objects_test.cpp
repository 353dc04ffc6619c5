// SPDX-License-Identifier: Apache-2.0
// Objects by the tool: put, got, listed, verified.
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tool_fixture.h"

namespace mooncake::test {
namespace {

using testing::HasSubstr;

using ObjectsOfTheTool = ToolTest;

TEST_P(ObjectsOfTheTool, ArePutAndGot) {
    const auto one = nodeWithFile("one", 8);
    const std::string content = contentOf("a key", 300001);
    std::ofstream(folder.path() + "/in", std::ios::binary) << content;
    const Said put = tool({"put", "--soft-pin", "a key", folder.path() + "/in"});
    EXPECT_EQ(put.status, 0) << put.err;
    EXPECT_EQ(get(*one, "a key", 300001), ErrorCode::OK);

    const Said got = tool({"get", "a key", folder.path() + "/out"});
    EXPECT_EQ(got.status, 0) << got.err;
    std::ifstream out(folder.path() + "/out", std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(out), {}), content);
    EXPECT_EQ(tool({"get", "a key"}).out, content);

    const Said again = tool({"put", "a key", "-"}, "other bytes");
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_THAT(again.err, HasSubstr("was there already"));
    EXPECT_EQ(get(*one, "a key", 300001), ErrorCode::OK);

    EXPECT_EQ(tool({"put", "b\\x00\\\\", "-"}, "from the standard input").status, 0);
    EXPECT_EQ(one->Query(std::string("b\0\\", 3))->size, 23u);
    EXPECT_EQ(tool({"get", "b\\x00\\\\"}).out, "from the standard input");
}

TEST_P(ObjectsOfTheTool, APartOfOneIsNotLeftBehind) {
    const auto one = nodeWithFile("one", 8);
    const std::string path = folder.path() + "/out";
    ASSERT_EQ(put(*one, "key", 3 * kMiB), ErrorCode::OK);
    // As on a full disk.
    const auto handler = signal(SIGXFSZ, SIG_IGN);
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit less = before;
    less.rlim_cur = 2 * kMiB;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &less), 0);
    const Said got = tool({"get", "key", path});
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    EXPECT_EQ(got.status, 1);
    EXPECT_THAT(got.err, HasSubstr("'" + path + "' cannot be written: File too large"));
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_EQ(tool({"get", "key", "/dev/full"}).status, 1);
    EXPECT_TRUE(std::filesystem::exists("/dev/full"));
}

TEST_P(ObjectsOfTheTool, WhatCannotBeIsSaid) {
    const Said nowhere = tool({"put", "key", "-"}, "bytes");
    EXPECT_EQ(nowhere.status, 1);
    EXPECT_THAT(nowhere.err, HasSubstr("no node serves a file"));
    const Said missing = tool({"get", "key"});
    EXPECT_EQ(missing.status, 1);
    EXPECT_THAT(missing.err, HasSubstr("'key'"));
    EXPECT_EQ(missing.out, "");
    EXPECT_THAT(tool({"put", "key", "-"}).err, HasSubstr("is empty"));
    EXPECT_THAT(tool({"put", "key", "/no/such/file"}).err, HasSubstr("/no/such/file"));
    EXPECT_THAT(tool({"get", "a\\b"}).err, HasSubstr("backslash"));
    EXPECT_EQ(tool({"get"}).status, 2);
    EXPECT_THAT(tool({"list", "--json", "--yes"}).json()["error"]["message"].asString(),
                HasSubstr("list has no option --yes"));
}

TEST_P(ObjectsOfTheTool, AreListed) {
    const auto one = nodeWithFile("one", 8);
    EXPECT_EQ(tool({"list"}).out, "no objects\n");
    EXPECT_TRUE(ask({"list"})["objects"].empty());
    ReplicateConfig pinned;
    pinned.with_hard_pin = true;
    ASSERT_EQ(put(*one, "b\n", 5000, pinned), ErrorCode::OK);
    ASSERT_EQ(put(*one, "a1", 4096), ErrorCode::OK);
    ASSERT_EQ(put(*one, "a2", 300000), ErrorCode::OK);
    const Json::Value all = ask({"list"})["objects"];
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0]["key"], "a1");
    EXPECT_EQ(all[1]["bytes"], 300000);
    EXPECT_EQ(all[2]["key"], "b\\x0a");
    EXPECT_TRUE(all[2]["hard_pin"].asBool());
    EXPECT_FALSE(all[1]["hard_pin"].asBool());
    EXPECT_EQ(all[0]["copies"][0][0]["file"], ask({"status"})["files"][0]["number"]);
    EXPECT_EQ(ask({"list", "a"})["objects"].size(), 2u);
    EXPECT_EQ(ask({"list", "--limit=1"})["objects"].size(), 1u);
    const std::string table = tool({"list"}).out;
    EXPECT_THAT(table, HasSubstr("BYTES  COPIES  PIN"));
    EXPECT_THAT(table, HasSubstr("  5000       1  hard"));
}

TEST_P(ObjectsOfTheTool, AreVerified) {
    const auto one = nodeWithFile("one", 8);
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(put(*one, "key" + std::to_string(i), 20000), ErrorCode::OK);
    }
    const Json::Value right = ask({"verify", "--rate=1G"});
    EXPECT_EQ(right["objects"], 100);
    EXPECT_EQ(right["bytes"], 2000000);
    EXPECT_TRUE(right["damaged"].empty());
    EXPECT_EQ(ask({"verify", "key9"})["objects"], 11);

    flip(fileOf("one"), placeOf(one->Query("key42")->replicas[0].extents[0]) + 7);
    const Said wrong = tool({"verify", "--json"});
    EXPECT_EQ(wrong.status, 1);
    const Json::Value report = wrong.json();
    EXPECT_EQ(report["objects"], 99);
    ASSERT_EQ(report["damaged"].size(), 1u);
    EXPECT_EQ(report["damaged"][0]["key"], "key42");
    EXPECT_EQ(report["wrong_copies"], 1);
    // It was taken out, as with every get.
    EXPECT_EQ(ask({"verify"})["objects"], 99);
}

// The copy that no get on this machine would read, too.
TEST_P(ObjectsOfTheTool, EveryCopyIsVerified) {
    const auto one = nodeWithFile("one", 8);
    const auto two = nodeWithFile("two", 8);
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig config;
    config.replica_num = 2;
    for (int i = 0; i < 20; ++i) {
        ASSERT_EQ(put(*one, "key" + std::to_string(i), 20000, config), ErrorCode::OK);
    }
    const Json::Value right = ask({"verify"});
    EXPECT_EQ(right["objects"], 20);
    EXPECT_EQ(right["copies"], 40);
    EXPECT_EQ(right["bytes"], 800000);

    // Of one object the one copy, of the next one the other, of the third both.
    const auto damage = [&](const std::string& key, Client& node, const std::string& name) {
        const auto query = one->Query(key);
        for (const auto& copy : query->replicas) {
            if (copy.segment != node.GetTransportEndpoint()) continue;
            flip(fileOf(name), placeOf(copy.extents.at(0)) + 7);
        }
    };
    damage("key1", *one, "one");
    damage("key2", *two, "two");
    damage("key3", *one, "one");
    damage("key3", *two, "two");
    const Said wrong = tool({"verify", "--json"});
    EXPECT_EQ(wrong.status, 1);
    const Json::Value report = wrong.json();
    EXPECT_EQ(report["objects"], 19);
    EXPECT_EQ(report["copies"], 36);
    EXPECT_EQ(report["wrong_copies"], 4);
    EXPECT_EQ(report["copies_taken_out"], 4);
    ASSERT_EQ(report["damaged"].size(), 3u);
    EXPECT_EQ(report["damaged"][0]["key"], "key1");
    EXPECT_EQ(report["damaged"][0]["right_copies"], 1);
    EXPECT_EQ(report["damaged"][2]["right_copies"], 0);
    EXPECT_EQ(one->Query("key1")->replicas.size(), 1u);
    EXPECT_EQ(get(*two, "key1", 20000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key2", 20000), ErrorCode::OK);
    EXPECT_FALSE(exists(*one, "key3"));

    // Without one of the nodes its copies are out of reach, and no object is.
    ASSERT_TRUE(two->UnmountFileSegment(fileOf("two")));
    const Json::Value half = ask({"verify"});
    EXPECT_EQ(half["objects"], 18);
    EXPECT_EQ(half["copies"], 18);
    EXPECT_EQ(half["unreachable"], 1);
    EXPECT_EQ(half["unreachable_copies"], 18);
    EXPECT_EQ(half["missing"], 0);
}

TEST_P(ObjectsOfTheTool, ThoseOutOfReachAreCountedAndKept) {
    {
        const auto one = nodeWithFile("one", 8);
        ASSERT_EQ(put(*one, "key", 20000), ErrorCode::OK);
    }
    const Json::Value away = ask({"verify"});
    EXPECT_EQ(away["objects"], 0);
    EXPECT_EQ(away["unreachable"], 1);
    EXPECT_EQ(ask({"list"})["objects"].size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Tool, ObjectsOfTheTool, testing::ValuesIn(directoryKinds()),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace mooncake::test
