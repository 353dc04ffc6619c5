// SPDX-License-Identifier: Apache-2.0
// What can become of a directory on SQLite, seen through clients.
#include <sqlite3.h>

#include <filesystem>

#include "nodes.h"

namespace mooncake::test {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;

constexpr size_t kSize = 300000;

// Somebody has the database's write lock while it lives.
class WriteLock {
 public:
    explicit WriteLock(const std::string& path) {
        EXPECT_EQ(sqlite3_open(path.c_str(), &database_), SQLITE_OK);
        sqlite3_busy_timeout(database_, 60000);
        EXPECT_EQ(sqlite3_exec(database_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    }
    ~WriteLock() {
        EXPECT_EQ(sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
        sqlite3_close(database_);
    }
    WriteLock(const WriteLock&) = delete;
    WriteLock& operator=(const WriteLock&) = delete;

 private:
    sqlite3* database_ = nullptr;
};

class SqliteFaultsTest : public StoreTest {
 protected:
    void execute(const char* statement) const {
        sqlite3* database = nullptr;
        ASSERT_EQ(sqlite3_open(directory.c_str(), &database), SQLITE_OK);
        sqlite3_busy_timeout(database, 60000);
        EXPECT_EQ(sqlite3_exec(database, statement, nullptr, nullptr, nullptr), SQLITE_OK);
        EXPECT_EQ(sqlite3_changes(database), 1);
        sqlite3_close(database);
    }
    std::shared_ptr<Client> hurried(const std::string& name) const {
        ClientOptions options = shortLived(nodeOptions(directory, name));
        options.timeout = std::chrono::milliseconds(700);
        return join(options);
    }
};

// As by a process that is stopped in the middle of a transaction.
TEST_F(SqliteFaultsTest, WhileItIsLockedItIsReadOn) {
    const auto one = hurried("one");
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK) << Client::LastError();
    ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    const auto two = hurried("two");
    {
        const WriteLock lock(directory);
        EXPECT_EQ(put(*one, "other", kSize), ErrorCode::RPC_TIMEOUT);
        EXPECT_THAT(Client::LastError(), HasSubstr("another process holds it"));
        EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK) << "which is remembered";
        EXPECT_EQ(get(*two, "key", kSize), ErrorCode::OK) << "which is looked up";
        EXPECT_TRUE(exists(*two, "key"));
        EXPECT_EQ(one->Remove("key").error(), ErrorCode::RPC_TIMEOUT);
        // Until the leases have ended.
        ASSERT_TRUE(eventually([&] { return !one->HealthCheck() && !two->HealthCheck(); }));
        EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK);
        EXPECT_EQ(put(*one, "other", kSize), ErrorCode::RPC_FAIL);
    }
    ASSERT_TRUE(eventually([&] { return put(*one, "other", kSize) == ErrorCode::OK; }))
        << Client::LastError();
    EXPECT_TRUE(knowsFiles(*two, 1));
    EXPECT_EQ(get(*two, "other", kSize), ErrorCode::OK);
}

TEST_F(SqliteFaultsTest, WhileItIsLockedNobodyStarts) {
    ASSERT_NE(hurried("one"), nullptr);
    ClientOptions options = nodeOptions(directory, "two");
    options.timeout = std::chrono::milliseconds(300);
    {
        const WriteLock lock(directory);
        EXPECT_EQ(Client::Create(options).error(), ErrorCode::RPC_TIMEOUT);
        EXPECT_THAT(Client::LastError(), HasSubstr(directory));
    }
    EXPECT_NE(node("two"), nullptr);
}

// Others write all the time.
TEST_F(SqliteFaultsTest, ASlowOneIsWaitedFor) {
    const auto one = nodeWithFile("one", 8);
    std::atomic<bool> stop{false};
    std::thread others([&] {
        while (!stop) {
            const WriteLock lock(directory);
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    });
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(put(*one, "key" + std::to_string(i), kSize), ErrorCode::OK)
            << Client::LastError();
        EXPECT_EQ(get(*one, "key" + std::to_string(i), kSize), ErrorCode::OK);
    }
    stop = true;
    others.join();
    EXPECT_EQ(one->Statistics().put_failures, 0u);
}

TEST_F(SqliteFaultsTest, ADamagedEntryIsReplacedByThePut) {
    const auto one = nodeWithFile("one", 8);
    ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    execute("UPDATE entry SET entry = CAST(substr(entry, 1, 20) AS BLOB)");
    EXPECT_EQ(get(*node("two"), "key", kSize), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    EXPECT_EQ(get(*node("three"), "key", kSize), ErrorCode::OK);
}

// What is in a file that nobody else can open is agreed with nobody.
TEST_F(SqliteFaultsTest, NobodyGoesOnInOneThatWasTakenAway) {
    const auto one = hurried("one");
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK) << Client::LastError();
    ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    std::filesystem::rename(directory, directory + ".away");
    ASSERT_TRUE(eventually([&] { return one->Statistics().leases_lost == 1; }));
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(put(*one, "other", kSize), ErrorCode::RPC_FAIL);
        EXPECT_THAT(Client::LastError(), HasSubstr("taken away or replaced"));
    }
    EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK) << "which is remembered";
    EXPECT_EQ(one->Statistics().leases_lost, 1u);
    std::filesystem::rename(directory + ".away", directory);
    EXPECT_TRUE(eventually([&] { return put(*one, "other", kSize) == ErrorCode::OK; }))
        << Client::LastError();
}

// Set back to a copy from before: what was put since is lost, and what was evicted since is in the
// directory again.
TEST_F(SqliteFaultsTest, OneThatWasSetBackGivesRightBytesOrNone) {
    std::vector<std::string> keys;
    const auto putSome = [&](Client& client, const std::string& prefix, int count) {
        for (int i = 0; i < count; ++i) {
            keys.push_back(prefix + std::to_string(i));
            ASSERT_EQ(put(client, keys.back(), kSize), ErrorCode::OK) << Client::LastError();
        }
    };
    const auto expectRightBytesOrNone = [&](Client& client) {
        int right = 0;
        for (const auto& key : keys) {
            const ErrorCode code = get(client, key, kSize);
            EXPECT_THAT(code, AnyOf(Eq(ErrorCode::OK), Eq(ErrorCode::OBJECT_NOT_FOUND),
                                    Eq(ErrorCode::CHECKSUM_MISMATCH)))
                << key << " " << Client::LastError();
            right += code == ErrorCode::OK;
        }
        return right;
    };
    { putSome(*nodeWithFile("one", 8), "old", 40); }
    std::filesystem::copy_file(directory, directory + ".saved");
    {
        const auto one = node();
        ASSERT_EQ(mount(*one, fileOf("one")), ErrorCode::OK) << Client::LastError();
        putSome(*one, "since", 150);
        EXPECT_GT(expectRightBytesOrNone(*one), 50);
    }
    std::filesystem::rename(directory + ".saved", directory);
    const auto two = nodeWithFile("two", 8);
    const auto one = node();
    ASSERT_EQ(mount(*one, fileOf("one")), ErrorCode::OK) << Client::LastError();
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    (void)expectRightBytesOrNone(*two);
    (void)expectRightBytesOrNone(*one);
    keys.clear();
    for (const auto& client : {one, two}) {
        putSome(*client, client->GetTransportEndpoint(), 30);
    }
    EXPECT_EQ(expectRightBytesOrNone(*two), 60);
    EXPECT_EQ(expectRightBytesOrNone(*one), 60);
}

}  // namespace
}  // namespace mooncake::test
