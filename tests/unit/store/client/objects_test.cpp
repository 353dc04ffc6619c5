// SPDX-License-Identifier: Apache-2.0
// Objects in and out of a store of one or two nodes.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <random>

#include "nodes.h"
#include "transfer_engine.h"

namespace mooncake::test {
namespace {

using ::testing::Each;
using Keys = std::vector<std::string>;

class ObjectsTest : public StoreTest {};

std::vector<ErrorCode> codes(const std::vector<tl::expected<void, ErrorCode>>& results) {
    std::vector<ErrorCode> all;
    for (const auto& result : results) all.push_back(result ? ErrorCode::OK : result.error());
    return all;
}

TEST_F(ObjectsTest, GivesBackWhatWasPut) {
    const auto client = nodeWithFile("one", 32);
    for (const size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{4097}, size_t{100000},
                              3 * kMiB, 11 * kMiB + 5}) {
        const std::string key = "object of " + std::to_string(size);
        ASSERT_EQ(put(*client, key, size), ErrorCode::OK) << Client::LastError();
        EXPECT_EQ(get(*client, key, size), ErrorCode::OK) << size;
        // Seen past the store.
        const auto query = client->Query(key);
        ASSERT_TRUE(query);
        EXPECT_EQ(query->size, size);
        std::string there;
        for (const auto& extent : query->replicas.at(0).extents) {
            there += contents(fileOf("one"), placeOf(extent), extent.length);
        }
        EXPECT_TRUE(there == contentOf(key, size)) << size;
    }
    const auto numbers = client->Statistics();
    EXPECT_EQ(numbers.hits, 7u);
    EXPECT_EQ(numbers.stored, 7u);
    EXPECT_EQ(numbers.cache_hits, 7u) << "what was put is remembered";
    EXPECT_EQ(numbers.checksum_failures, 0u);
}

TEST_F(ObjectsTest, AnotherNodeReadsAtOnce) {
    const auto one = nodeWithFile("one", 16);
    const auto two = nodeWithFile("two", 16);
    ReplicateConfig config;
    config.preferred_segment = "one";
    for (int i = 0; i < 20; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(put(*two, key, 50000, config), ErrorCode::OK);
        EXPECT_EQ(get(*one, key, 50000), ErrorCode::OK);
        EXPECT_EQ(get(*two, key, 50000), ErrorCode::OK);
        EXPECT_EQ(two->Query(key)->replicas.at(0).segment, one->GetTransportEndpoint());
    }
    // A node without files, too.
    ClientOptions options = nodeOptions(directory, "three");
    options.protocol_args = "";
    const auto three = join(options);
    EXPECT_EQ(get(*three, "key7", 50000), ErrorCode::OK);
    EXPECT_EQ(put(*three, "of three", 70000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "of three", 70000), ErrorCode::OK);
}

TEST_F(ObjectsTest, KeysAreAnyBytes) {
    const auto client = nodeWithFile("one", 8);
    Keys keys{std::string(1, '\0'), "\xff\xfe/\n", std::string(4096, 'k'),
              std::string(4095, '\xff') + "x", "plain"};
    for (const auto& key : keys) ASSERT_EQ(put(*client, key, 5000), ErrorCode::OK);
    for (const auto& key : keys) {
        EXPECT_EQ(get(*client, key, 5000), ErrorCode::OK);
        EXPECT_TRUE(exists(*client, key));
    }
    EXPECT_EQ(put(*client, "", 5000), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(put(*client, std::string(4097, 'k'), 5000), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(get(*client, "", 5000), ErrorCode::INVALID_PARAMS);
}

TEST_F(ObjectsTest, APutOfAKeyThatIsThereChangesNothing) {
    const auto one = nodeWithFile("one", 8);
    const auto two = node("two");
    ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    const auto before = one->Query("key");
    std::string other(7000, 'x');
    std::vector<Slice> slices{{other.data(), other.size()}};
    EXPECT_TRUE(two->Put("key", slices, {}));
    EXPECT_TRUE(one->Put("key", slices, {}));
    EXPECT_EQ(get(*one, "key", 5000), ErrorCode::OK);
    const auto after = one->Query("key");
    EXPECT_EQ(after->size, before->size);
    EXPECT_EQ(after->replicas.at(0).extents.at(0).offset,
              before->replicas.at(0).extents.at(0).offset);
    // No byte was written for it.
    EXPECT_EQ(two->Statistics().regions_taken, 0u);
    EXPECT_EQ(two->Statistics().existing, 1u);
}

TEST_F(ObjectsTest, AnUpsertReplaces) {
    const auto one = nodeWithFile("one", 8);
    const auto two = node("two");
    ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    ASSERT_EQ(get(*two, "key", 5000), ErrorCode::OK);
    std::string other = contentOf("other", 7000);
    std::vector<std::vector<Slice>> slices{{{other.data(), other.size()}}};
    EXPECT_THAT(codes(one->BatchUpsert({"key"}, slices, {})), Each(ErrorCode::OK));
    // Whoever remembers the old one still gets that, or the new one; here its region is whole.
    for (const auto& client : {one, node("three")}) {
        std::string bytes(7000, '?');
        std::vector<Slice> into{{bytes.data(), bytes.size()}};
        ASSERT_TRUE(client->Get("key", into));
        EXPECT_TRUE(bytes == other);
    }
}

TEST_F(ObjectsTest, ABatchHasAResultForEachKey) {
    const auto client = nodeWithFile("one", 32);
    Keys keys;
    std::vector<std::string> memory;
    std::vector<std::vector<Slice>> slices;
    for (int i = 0; i < 300; ++i) {
        keys.push_back("key" + std::to_string(i));
        memory.push_back(contentOf(keys.back(), 1 + 50 * static_cast<size_t>(i)));
    }
    for (auto& bytes : memory) slices.push_back({{bytes.data(), bytes.size()}});
    keys[7] = "";
    slices[8] = {};
    slices[9] = {{nullptr, 5}};
    auto results = codes(client->BatchPut(keys, slices, {}));
    ASSERT_EQ(results.size(), 300u);
    for (size_t i = 0; i < 300; ++i) {
        const bool wrong = i >= 7 && i <= 9;
        EXPECT_EQ(results[i], wrong ? ErrorCode::INVALID_PARAMS : ErrorCode::OK) << i;
    }
    std::vector<std::string> back(300, std::string(20000, '?'));
    std::unordered_map<std::string, std::vector<Slice>> into;
    for (size_t i = 0; i < 300; ++i) into[keys[i]] = {{back[i].data(), back[i].size()}};
    into.erase("key20");
    into["key21"][0].size = 3;
    results = codes(client->BatchGet(keys, into));
    for (size_t i = 0; i < 300; ++i) {
        const ErrorCode wanted = i == 7 || i == 20 || i == 21 ? ErrorCode::INVALID_PARAMS
                                 : i == 8 || i == 9           ? ErrorCode::OBJECT_NOT_FOUND
                                                              : ErrorCode::OK;
        EXPECT_EQ(results[i], wanted) << i;
        if (wanted == ErrorCode::OK) {
            EXPECT_TRUE(back[i].substr(0, memory[i].size()) == memory[i]) << i;
        }
    }
    const auto there = client->BatchIsExist(keys);
    for (size_t i = 0; i < 300; ++i) EXPECT_EQ(there[i].value(), i < 7 || i > 9) << i;
    const auto queries = client->BatchQuery({"key1", "no", "key2"});
    EXPECT_TRUE(queries[0] && queries[2]);
    EXPECT_EQ(queries[1].error(), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_TRUE(client->BatchPut({}, slices = {}, {}).empty());
    EXPECT_EQ(codes(client->BatchPut({"a", "b"}, slices, {})),
              std::vector(2, ErrorCode::INVALID_PARAMS));
}

TEST_F(ObjectsTest, OfAKeyThatIsGivenTwiceTheLastCounts) {
    const auto client = nodeWithFile("one", 8);
    std::string first(3000, 'a'), second = contentOf("key", 4000);
    std::vector<std::vector<Slice>> slices{{{first.data(), 3000}}, {{second.data(), 4000}}};
    EXPECT_THAT(codes(client->BatchPut({"key", "key"}, slices, {})), Each(ErrorCode::OK));
    EXPECT_EQ(get(*client, "key", 4000), ErrorCode::OK);
    EXPECT_EQ(client->Statistics().stored, 1u);
    // Also where it cannot be put.
    slices[1] = {{nullptr, 5}};
    EXPECT_THAT(codes(client->BatchPut({"other", "other"}, slices, {})),
                Each(ErrorCode::INVALID_PARAMS));
    EXPECT_FALSE(exists(*client, "other"));
}

// As vLLM does, and worse: hundreds of pieces for an object, at any address.
TEST_F(ObjectsTest, SmallPiecesAreFewRequests) {
    const auto client = nodeWithFile("one", 32);
    std::mt19937 random(7);
    const std::string bytes = contentOf("key", 2 * kMiB);
    std::vector<std::string> pieces, back;
    std::vector<Slice> slices, into;
    for (size_t at = 0; at < bytes.size();) {
        const size_t size = std::min<size_t>(1000 + random() % 11000, bytes.size() - at);
        pieces.push_back(bytes.substr(at, size));
        back.emplace_back(size, '?');
        at += size;
    }
    for (auto& piece : pieces) slices.push_back({piece.data(), piece.size()});
    for (auto& piece : back) into.push_back({piece.data(), piece.size()});
    ASSERT_GT(pieces.size(), 200u);
    ASSERT_TRUE(client->Put("key", slices, {}));
    // Two MiB through staging buffers of 256 KiB, and a page.
    EXPECT_LE(client->Statistics().engine_requests, 9u);
    ASSERT_TRUE(client->Get("key", into));
    EXPECT_LE(client->Statistics().engine_requests, 17u);
    EXPECT_EQ(back, pieces);
    EXPECT_EQ(get(*client, "key", 2 * kMiB), ErrorCode::OK);
    const auto query = client->Query("key");
    EXPECT_EQ(query->replicas.at(0).extents.size(), 1u);
}

// A page of the table for each put: those that are down make room for the next ones.
TEST_F(ObjectsTest, ARegionTakesManyPuts) {
    const auto client = nodeWithFile("one", 8);
    for (int i = 0; i < 400; ++i) {
        ASSERT_EQ(put(*client, "key" + std::to_string(i), 1), ErrorCode::OK) << i;
    }
    EXPECT_EQ(client->Statistics().regions_taken, 1u);
}

TEST_F(ObjectsTest, AQuerySavesTheLookUp) {
    const auto client = nodeWithFile("one", 8);
    const auto other = node("two");
    ASSERT_EQ(put(*client, "key", 5000), ErrorCode::OK);
    const auto query = other->Query("key");
    const auto before = other->Statistics();
    std::string bytes(5000, '?');
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    ASSERT_TRUE(other->Get("key", *query, slices));
    EXPECT_TRUE(bytes == contentOf("key", 5000));
    EXPECT_EQ(other->Statistics().cache_misses, before.cache_misses);
    EXPECT_FALSE(query->IsLeaseExpired());
}

TEST_F(ObjectsTest, WhatIsRemovedIsGone) {
    const auto one = nodeWithFile("one", 8);
    const auto two = node("two");
    for (const std::string key : {"a1", "a2", "b1", "b2", "c"}) {
        ASSERT_EQ(put(*one, key, 5000), ErrorCode::OK);
    }
    EXPECT_TRUE(two->Remove("c"));
    EXPECT_EQ(two->Remove("c").error(), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_FALSE(exists(*one, "c"));
    EXPECT_EQ(get(*two, "c", 5000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(one->RemoveByRegex("^a").value(), 2);
    EXPECT_EQ(one->RemoveByRegex("(").error(), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(one->QueryByRegex("1$")->size(), 1u);
    EXPECT_EQ(get(*one, "a1", 5000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(get(*two, "b1", 5000), ErrorCode::OK);
    EXPECT_EQ(two->RemoveAll().value(), 2);
    EXPECT_EQ(get(*one, "b2", 5000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(put(*one, "c", 5000), ErrorCode::OK);
    EXPECT_EQ(get(*two, "c", 5000), ErrorCode::OK);
    EXPECT_EQ(one->Statistics().misses_absent, 2u);
}

// More than the directory lists at once.
TEST_F(ObjectsTest, AQueryByRegexFindsAllOfMany) {
    const auto one = nodeWithFile("one", 8);
    Keys keys;
    for (int i = 0; i < 2100; ++i)
        keys.push_back((i % 2 == 0 ? "even" : "odd") + std::to_string(i));
    char byte = 'x';
    std::vector<std::vector<Slice>> slices(keys.size(), {{&byte, 1}});
    EXPECT_THAT(codes(one->BatchPut(keys, slices, {})), Each(ErrorCode::OK));
    EXPECT_EQ(one->QueryByRegex("^even")->size(), 1050u);
    EXPECT_EQ(one->QueryByRegex(".")->size(), 2100u);
}

// What it finds in the directory counts from its first call on.
TEST_F(ObjectsTest, ANewClientKnowsWhichFilesAreServed) {
    ASSERT_EQ(put(*nodeWithFile("one", 8), "key", 5000), ErrorCode::OK);
    for (int i = 0; i < 5; ++i) {
        const auto two = node("two");
        EXPECT_FALSE(exists(*two, "key")) << "nobody can read it";
        EXPECT_THAT(two->GetSummaryMetrics().value(), ::testing::HasSubstr("files served 0,"));
    }
}

TEST_F(ObjectsTest, CopiesGoToDifferentNodes) {
    const auto one = nodeWithFile("one", 16);
    const auto two = nodeWithFile("two", 16);
    const auto three = nodeWithFile("three", 16);
    ASSERT_TRUE(knowsFiles(*one, 3) && knowsFiles(*two, 3));
    ReplicateConfig config;
    config.replica_num = 2;
    for (int i = 0; i < 10; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(put(*one, key, 100000, config), ErrorCode::OK);
        const auto query = one->Query(key);
        ASSERT_EQ(query->replicas.size(), 2u);
        EXPECT_NE(query->replicas[0].segment, query->replicas[1].segment);
    }
    // As many as there are.
    config.replica_num = 5;
    ASSERT_EQ(put(*two, "five", 100000, config), ErrorCode::OK);
    EXPECT_EQ(two->Query("five")->replicas.size(), 3u);
    config.replica_num = 0;
    EXPECT_EQ(put(*two, "none", 100000, config), ErrorCode::INVALID_PARAMS);
    config.replica_num = 17;
    EXPECT_EQ(put(*two, "many", 100000, config), ErrorCode::INVALID_PARAMS);
}

TEST_F(ObjectsTest, ManyThreads) {
    const auto one = nodeWithFile("one", 32);
    const auto two = nodeWithFile("two", 32);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&, t] {
            Client& mine = t % 2 == 0 ? *one : *two;
            Client& other = t % 2 == 0 ? *two : *one;
            for (int i = 0; i < 25; ++i) {
                const std::string key = std::to_string(t / 2) + "/" + std::to_string(i);
                wrong += put(mine, key, 100000) != ErrorCode::OK;
                wrong += get(mine, key, 100000) != ErrorCode::OK;
                wrong += get(other, key, 100000) != ErrorCode::OK;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    // Two threads put each key: one of them has written it.
    const auto stored = one->Statistics().stored + two->Statistics().stored;
    const auto existing = one->Statistics().existing + two->Statistics().existing;
    EXPECT_EQ(stored, 100u);
    EXPECT_EQ(existing, 100u);
}

TEST_F(ObjectsTest, NothingIsStoredWithoutAFile) {
    const auto client = node();
    EXPECT_EQ(put(*client, "key", 5000), ErrorCode::NO_AVAILABLE_HANDLE);
    EXPECT_THAT(Client::LastError(), ::testing::HasSubstr("no node of the store mounts a file"));
    EXPECT_EQ(get(*client, "key", 5000), ErrorCode::OBJECT_NOT_FOUND);
}

TEST_F(ObjectsTest, AfterCloseEveryCallIsRefused) {
    const auto client = nodeWithFile("one", 8);
    ASSERT_EQ(put(*client, "key", 5000), ErrorCode::OK);
    EXPECT_TRUE(client->Close());
    EXPECT_TRUE(client->Close());
    constexpr auto kClosed = ErrorCode::UNAVAILABLE_IN_CURRENT_STATUS;
    std::string bytes(5000, '?');
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    std::vector<std::vector<Slice>> lists{slices};
    std::unordered_map<std::string, std::vector<Slice>> by_key{{"key", slices}};
    EXPECT_EQ(client->Put("key", slices, {}).error(), kClosed);
    EXPECT_EQ(client->Get("key", slices).error(), kClosed);
    EXPECT_EQ(client->BatchPut({"key"}, lists, {})[0].error(), kClosed);
    EXPECT_EQ(client->BatchUpsert({"key"}, lists, {})[0].error(), kClosed);
    EXPECT_EQ(client->BatchGet({"key"}, by_key)[0].error(), kClosed);
    EXPECT_EQ(client->BatchGetInto({"key"}, lists)[0].error(), kClosed);
    EXPECT_EQ(client->Query("key").error(), kClosed);
    EXPECT_EQ(client->BatchQuery({"key"})[0].error(), kClosed);
    EXPECT_EQ(client->QueryByRegex(".").error(), kClosed);
    EXPECT_EQ(client->IsExist("key").error(), kClosed);
    EXPECT_EQ(client->BatchIsExist({"key"})[0].error(), kClosed);
    EXPECT_EQ(client->Remove("key").error(), kClosed);
    EXPECT_EQ(client->BatchRemove({"key"})[0].error(), kClosed);
    EXPECT_EQ(client->RemoveByRegex(".").error(), kClosed);
    EXPECT_EQ(client->RemoveAll().error(), kClosed);
    EXPECT_EQ(client->MountFileSegment("/x").error(), kClosed);
    EXPECT_EQ(client->MountScratchFile("/x", 1).error(), kClosed);
    EXPECT_EQ(client->UnmountFileSegment("/x").error(), kClosed);
    EXPECT_EQ(client->RegisterLocalMemory(&bytes, 1, "*").error(), kClosed);
    EXPECT_EQ(client->unregisterLocalMemory(&bytes).error(), kClosed);
    EXPECT_EQ(client->HealthCheck().error(), kClosed);
    EXPECT_EQ(client->GetSummaryMetrics().error(), kClosed);
    EXPECT_EQ(client->SerializeMetrics(bytes).error(), kClosed);
    EXPECT_EQ(client->GetTransportEndpoint(), "");
    EXPECT_EQ(client->Statistics().stored, 1u);
}

TEST_F(ObjectsTest, AForkedChildTouchesNothing) {
    auto client = nodeWithFile("one", 8);
    ASSERT_EQ(put(*client, "key", 5000), ErrorCode::OK);
    const pid_t child = fork();
    if (child == 0) {
        const bool refused =
            put(*client, "of the child", 5000) == ErrorCode::UNAVAILABLE_IN_CURRENT_STATUS &&
            get(*client, "key", 5000) == ErrorCode::UNAVAILABLE_IN_CURRENT_STATUS &&
            !client->Close();
        client.reset();
        _exit(refused ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(get(*client, "key", 5000), ErrorCode::OK);
    EXPECT_EQ(put(*client, "more", 5000), ErrorCode::OK);
}

// With an engine that was not initialised there is no way for bytes, and all else works.
TEST_F(ObjectsTest, AClientThatOnlyLooksUp) {
    const auto one = nodeWithFile("one", 8);
    ASSERT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    ClientOptions options = nodeOptions(directory, "two");
    options.engine = std::make_shared<TransferEngine>();
    const auto two = join(options);
    EXPECT_TRUE(exists(*two, "key"));
    EXPECT_FALSE(exists(*two, "no"));
    EXPECT_EQ(two->Query("key")->size, 5000u);
    EXPECT_EQ(get(*two, "key", 5000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_FALSE(two->MountFileSegment(folder.file("two", 33 * kMiB)));
    EXPECT_EQ(put(*two, "other", 5000), ErrorCode::WRITE_FAIL);
}

TEST_F(ObjectsTest, SeveralClientsShareAnEngine) {
    ClientOptions options = nodeOptions(directory, "one");
    options.engine = std::make_shared<TransferEngine>();
    ASSERT_EQ(options.engine->init("P2PHANDSHAKE", "127.0.0.1:0"), 0);
    void* args[] = {options.protocol_args.data()};
    ASSERT_NE(options.engine->installTransport("nvmeof_generic", args), nullptr);
    auto one = join(options);
    const auto two = join(options);
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    ASSERT_EQ(mount(*two, folder.file("two", 33 * kMiB)), ErrorCode::OK);
    ASSERT_TRUE(knowsFiles(*one, 2));
    for (int i = 0; i < 20; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(put(i % 2 == 0 ? *one : *two, key, 300000), ErrorCode::OK);
        EXPECT_EQ(get(i % 2 == 0 ? *two : *one, key, 300000), ErrorCode::OK);
    }
    one.reset();
    // The engine is not the client's to end.
    EXPECT_EQ(put(*two, "later", 300000), ErrorCode::OK);
    EXPECT_EQ(get(*two, "later", 300000), ErrorCode::OK);
}

TEST_F(ObjectsTest, MemoryIsRegisteredWithTheEngine) {
    const auto client = node();
    std::string bytes(10000, '?');
    EXPECT_TRUE(client->RegisterLocalMemory(bytes.data(), bytes.size(), "cpu:0", false, false));
    EXPECT_EQ(client->RegisterLocalMemory(bytes.data(), bytes.size(), "cpu:0").error(),
              ErrorCode::INVALID_PARAMS);
    EXPECT_TRUE(client->unregisterLocalMemory(bytes.data()));
    EXPECT_EQ(client->unregisterLocalMemory(bytes.data()).error(), ErrorCode::INVALID_PARAMS);
    EXPECT_EQ(client->MountSegment(bytes.data(), 1).error(), ErrorCode::NOT_SUPPORTED);
}

TEST_F(ObjectsTest, CreateAsProgramsOfMooncakesStoreDo) {
    const std::optional<std::string> address =
        "trtype=tcp adrfam=ipv4 traddr=127.0.0.1 trsvcid=4420";
    auto client =
        Client::Create("127.0.0.1:0", "P2PHANDSHAKE", "nvmeof_generic", address, directory);
    ASSERT_TRUE(client.has_value());
    EXPECT_EQ(mount(**client, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    EXPECT_EQ(put(**client, "key", 5000), ErrorCode::OK);
    EXPECT_TRUE((*client)->HealthCheck());
    EXPECT_FALSE(Client::Create("127.0.0.1:0", "P2PHANDSHAKE", "nvmeof_generic", address,
                                folder.path() + "/no/such/folder/store.db"));
    EXPECT_THAT(Client::LastError(), ::testing::HasSubstr("no/such"));
    EXPECT_FALSE(
        Client::Create("127.0.0.1:0", "P2PHANDSHAKE", "no_such_protocol", address, directory));
    std::string text;
    EXPECT_TRUE((*client)->SerializeMetrics(text));
    const std::string process = std::string("{process=\"") + program_invocation_short_name + "\"";
    EXPECT_THAT(text, ::testing::HasSubstr("mooncake_store_stored_total" + process + "} 1\n"));
    EXPECT_THAT(text, ::testing::HasSubstr("mooncake_store_file_served" + process + ",file=\"1\""));
    EXPECT_THAT((*client)->GetSummaryMetrics().value(), ::testing::HasSubstr("stored 1"));
}

TEST_F(ObjectsTest, StatisticsAreWrittenWhereTheEnvironmentSays) {
    const std::string path = folder.path() + "/store.prom";
    const auto lines = [&](const std::string& name) {
        std::ifstream file(path);
        std::vector<std::string> found;
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("mooncake_store_" + name)) found.push_back(line);
        }
        return found;
    };
    const auto wanted = [](const std::string& count) {
        return ::testing::ElementsAre("mooncake_store_stored_total{process=\"me\"} " + count);
    };
    setenv("MC_STORE_STATS_FILE", path.c_str(), 1);
    setenv("MC_STORE_STATS_INTERVAL", "1", 1);
    setenv("MC_STORE_STATS_LABEL", "me", 1);
    auto first = node();
    EXPECT_EQ(mount(*first, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    EXPECT_EQ(put(*first, "key", 5000), ErrorCode::OK);
    EXPECT_TRUE(eventually([&] { return ::testing::Matches(wanted("1"))(lines("stored_total")); }));
    // Another one of this process counts for itself.
    const auto second = node("second");
    EXPECT_EQ(put(*second, "other", 5000), ErrorCode::OK);
    EXPECT_EQ(put(*second, "third", 5000), ErrorCode::OK);
    EXPECT_EQ(put(*first, "last", 5000), ErrorCode::OK);
    EXPECT_TRUE(first->Close());
    EXPECT_THAT(lines("stored_total"), wanted("2"));
    for (const std::string& line : lines("")) {
        EXPECT_THAT(line, ::testing::HasSubstr("{process=\"me\""));
    }
    setenv("MC_STORE_STATS_FILE", (folder.path() + "/no/store.prom").c_str(), 1);
    EXPECT_FALSE(Client::Create(nodeOptions(directory, "nowhere")));
    EXPECT_THAT(Client::LastError(), ::testing::HasSubstr("MC_STORE_STATS_FILE"));
    for (const char* name : {"FILE", "INTERVAL", "LABEL"}) {
        unsetenv((std::string("MC_STORE_STATS_") + name).c_str());
    }
}

}  // namespace
}  // namespace mooncake::test
