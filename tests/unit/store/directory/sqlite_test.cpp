// SPDX-License-Identifier: Apache-2.0
// What is SQLite's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <fstream>
#include <new>
#include <thread>

#include "backends.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::HasSubstr;

struct SqliteTest : testing::Test {
    const std::unique_ptr<Backend> backend = makeBackend("sqlite");
    const std::string path = backend->address().substr(std::string("sqlite://").size());

    // What stands in the first row, past the directory.
    int64_t number(const std::string& sql) const {
        sqlite3* database = nullptr;
        EXPECT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
        sqlite3_stmt* statement = nullptr;
        EXPECT_EQ(sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr), SQLITE_OK);
        EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW) << sql;
        const int64_t found = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        sqlite3_close(database);
        return found;
    }
    // As somebody else does.
    void execute(const std::string& sql) const {
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
        char* error = nullptr;
        EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK)
            << sql << ": " << error;
        sqlite3_close(database);
    }
    Result<std::unique_ptr<Directory>> open() const {
        return Directory::open(backend->address(), longLease(), soon());
    }
};

// In whichever of the threads that share the keys.
TEST_F(SqliteTest, WhatALookThrowsIsItsError) {
    Node one(backend->address());
    ASSERT_EQ(one.put("key", entryIn(one.take())), ChangeOutcome::kDone);
    std::vector<std::string> keys{"key"};
    for (int i = 0; i < 9999; ++i) keys.push_back("absent" + std::to_string(i));
    const auto without_memory = [](const Extent&) -> bool { throw std::bad_alloc(); };
    EXPECT_FAILS(one.directory->exists(keys, without_memory, soon()), Failure::kInternal);
    const auto all = [](const Extent&) { return true; };
    const auto there = one.directory->exists(keys, all, soon());
    ASSERT_DONE(there);
    EXPECT_TRUE(there->front());
}

TEST_F(SqliteTest, OthersDatabasesAreNotTouched) {
    execute("CREATE TABLE t(x)");
    const auto foreign = open();
    EXPECT_FAILS(foreign, Failure::kUnsupported);
    EXPECT_THAT(foreign.error().message,
                testing::AllOf(HasSubstr(path), HasSubstr("something else")));
}

TEST_F(SqliteTest, OtherVersionsAreNotGuessed) {
    ASSERT_DONE(open());
    execute("PRAGMA user_version=3");
    const auto newer = open();
    EXPECT_FAILS(newer, Failure::kUnsupported);
    EXPECT_THAT(newer.error().message, HasSubstr("version 3"));
}

TEST_F(SqliteTest, WhatIsNoDatabaseIsSaidToBe) {
    std::ofstream(path) << std::string(8192, 'x');
    EXPECT_FAILS(open(), Failure::kDamaged);
    EXPECT_FAILS(Directory::open("/proc/none/store.db", longLease(), soon()),
                 Failure::kUnavailable);
}

TEST_F(SqliteTest, ManyOpenANewOneAtOnce) {
    std::vector<std::thread> threads;
    std::vector<Uuid> ids(8);
    for (size_t i = 0; i < ids.size(); ++i) {
        threads.emplace_back([&, i] {
            const auto directory = open();
            ASSERT_DONE(directory);
            ids[i] = (*directory)->storeId();
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_THAT(ids, testing::Each(ids[0]));
}

// A lease ends with the kernel's boot, whatever the clock of the next one says.
TEST_F(SqliteTest, LeasesOfAnotherBootHaveEnded) {
    Node one(backend->address());
    const Region region = one.take();
    execute("UPDATE client SET boot = CAST('another' AS BLOB), ends = 9223372036854775807");
    Node other(backend->address());
    EXPECT_THAT(*other.directory->clients(soon()),
                testing::ElementsAre(ClientInfo{other.client, "node"}));
    EXPECT_DONE(other.directory->sealRegion(region.id, 1, {}, soon()));
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kLeaseLost);
}

TEST_F(SqliteTest, WhoIsBusyForTooLongIsNotWaitedFor) {
    Node one(backend->address());
    const Region region = one.take();
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_FAILS(
        one.directory->commit({{"key", entryIn(region)}}, in(std::chrono::milliseconds(50))),
        Failure::kTimeout);
    EXPECT_DONE(one.directory->lookup({"key"}, soon())) << "reading does not wait for writing";
    EXPECT_GT(one.directory->statistics().timeouts, 0u);
    ASSERT_EQ(sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    EXPECT_EQ(one.put("key", entryIn(region)), ChangeOutcome::kDone);
}

// An entry and its key are two rows: they come and go together.
TEST_F(SqliteTest, NothingIsLeftOfWhatWasRemoved) {
    Node one(backend->address());
    const Region region = one.take();
    for (const char* key : {"a", "b", "c"}) {
        ASSERT_EQ(one.put(key, entryIn(region)), ChangeOutcome::kDone);
    }
    EXPECT_EQ(number("SELECT count(*) FROM object"), 3);
    EXPECT_DONE(one.directory->remove({"a", "none"}, soon()));
    EXPECT_DONE(one.directory->edit(
        {"b"}, [](std::string_view, ObjectEntry*) { return Edit::kRemove; }, soon()));
    EXPECT_EQ(number("SELECT count(*) FROM object"), 1);
    EXPECT_EQ(number("SELECT count(*) FROM entry"), 1);
    EXPECT_EQ(number("SELECT count(*) FROM object WHERE key = CAST('c' AS BLOB)"), 1);
}

TEST_F(SqliteTest, DamagedEntriesAreMissesAndGetReplaced) {
    Node one(backend->address());
    const Region region = one.take();
    ASSERT_EQ(one.put("good", entryIn(region)), ChangeOutcome::kDone);
    execute("CREATE TABLE good AS SELECT * FROM entry");
    ASSERT_EQ(one.put("bad", entryIn(region, 4096)), ChangeOutcome::kDone);
    // Under the wrong key: its bytes are whole.
    execute("UPDATE entry SET entry = (SELECT entry FROM good)");
    EXPECT_FALSE(one.get("bad"));
    EXPECT_TRUE(one.get("good"));
    EXPECT_EQ(one.directory->statistics().damaged, 1u);
    EXPECT_EQ(one.directory->list("", "", 10, soon())->objects.size(), 1u);
    EXPECT_EQ(one.put("bad", entryIn(region, 8192)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("bad"), entryIn(region, 8192));
}

TEST_F(SqliteTest, ADatabaseThatIsTakenAwayIsNoticed) {
    Node one(backend->address(), "node", shortLease());
    ASSERT_DONE(one.directory->lookup({"key"}, soon()));
    std::filesystem::rename(path, path + ".away");
    const auto findings = one.directory->check(soon());
    ASSERT_DONE(findings);
    EXPECT_THAT(*findings,
                testing::Contains(testing::Field(&Finding::severity, Finding::Severity::kError)));
    // Who wrote into it is told so, also when there is another one.
    ASSERT_DONE(open());
    while (one.directory->lease().client != 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

TEST_F(SqliteTest, WhatWasCommittedOutlivesTheProcessesThatHadItOpen) {
    ObjectEntry entry;
    Uuid id;
    {
        Node one(backend->address());
        entry = entryIn(one.take());
        id = one.directory->storeId();
        ASSERT_EQ(one.put("key", entry), ChangeOutcome::kDone);
    }
    Node again(backend->address());
    EXPECT_EQ(again.directory->storeId(), id);
    EXPECT_EQ(again.get("key"), entry);
}

}  // namespace
}  // namespace mooncake::store::test
