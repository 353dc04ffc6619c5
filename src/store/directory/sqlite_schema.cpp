// SPDX-License-Identifier: Apache-2.0
#include "sqlite_schema.h"

#include <algorithm>
#include <thread>

namespace mooncake::store {

namespace {

// "MCst": tells this file from every other SQLite database.
constexpr uint64_t kApplication = 0x4d437374;
constexpr uint64_t kVersion = 2;

// Objects first: their tables are all that is large. `hash` is XXH3's 64 bits over the key; the
// keys themselves are there to be listed.
constexpr const char* kTables[] = {
    "CREATE TABLE entry(hash INTEGER PRIMARY KEY, entry BLOB NOT NULL)",
    "CREATE TABLE object(key BLOB PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE store(one INTEGER PRIMARY KEY, id BLOB NOT NULL, sequence INTEGER NOT NULL)",
    // `ends` in nanoseconds since that boot
    "CREATE TABLE client(id INTEGER PRIMARY KEY, node BLOB NOT NULL, boot BLOB NOT NULL, "
    "ends INTEGER NOT NULL)",
    // A number is never given twice. `uuid` is null once the file was given up.
    "CREATE TABLE file(number INTEGER PRIMARY KEY AUTOINCREMENT, uuid BLOB UNIQUE, "
    "record BLOB NOT NULL, untouched INTEGER NOT NULL, regions INTEGER NOT NULL, "
    "mount BLOB, mounted_by INTEGER)",
    "CREATE TABLE region(file INTEGER, number INTEGER, state INTEGER NOT NULL, "
    "record BLOB NOT NULL, used INTEGER NOT NULL, change INTEGER NOT NULL, "
    "PRIMARY KEY(file, number)) WITHOUT ROWID",
    "CREATE INDEX region_clean ON region(file, number) WHERE state = 1",
    "CREATE INDEX region_change ON region(change)",
};

}  // namespace

Result<> prepareConnection(SqliteConnection* connection, Deadline deadline) {
    connection->setDeadline(deadline);
    // Switching to the log takes a lock for which the busy handler is not asked.
    for (;;) {
        const int code = sqlite3_exec(connection->handle(), "PRAGMA journal_mode=WAL", nullptr,
                                      nullptr, nullptr);
        if (code == SQLITE_OK) break;
        if ((code & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() >= deadline) {
            return tl::unexpected<Error>(connection->error(code));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // Checkpoints cost a flush; what is read comes from the page cache without a copy; the log
    // gives its space back.
    for (const char* pragma : {"PRAGMA wal_autocheckpoint=4000", "PRAGMA mmap_size=1099511627776",
                               "PRAGMA journal_size_limit=67108864", "PRAGMA cache_size=-16384"}) {
        const int code = sqlite3_exec(connection->handle(), pragma, nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) return tl::unexpected<Error>(connection->error(code));
    }
    return {};
}

Result<Uuid> openSchema(SqliteConnection* connection, const Uuid& fresh, Deadline deadline) {
    SqliteRun run(connection, SqliteRun::Kind::kDurableWrite, deadline);
    uint64_t application = 0, version = 0, tables = 0;
    {
        auto rows = run.select(
            "SELECT (SELECT * FROM pragma_application_id), (SELECT * FROM pragma_user_version), "
            "(SELECT count(*) FROM sqlite_schema)");
        if (rows.next()) {
            application = rows.number(0);
            version = rows.number(1);
            tables = rows.number(2);
        }
    }
    if (!run.ok()) return run.error();
    Uuid id;
    if (tables == 0) {
        id = fresh;
        for (const char* table : kTables) run.run(table);
        run.run("PRAGMA application_id=1296266100");
        run.run("PRAGMA user_version=2");
        run.run("INSERT INTO store VALUES(1, ?, 1)",
                std::string_view(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()));
        if (auto done = run.commit(); !done) return tl::unexpected<Error>(done.error());
        return id;
    }
    static_assert(kApplication == 1296266100 && kVersion == 2);
    if (application != kApplication) {
        return failed(Failure::kUnsupported,
                      "the file is an SQLite database of something else; name another one for the "
                      "store's directory");
    }
    if (version != kVersion) {
        return failed(Failure::kUnsupported,
                      "the directory is of version " + std::to_string(version) +
                          ", and this library works with version " + std::to_string(kVersion) +
                          "; use the library that made it, or make the directory again from the "
                          "store's files");
    }
    {
        auto rows = run.select("SELECT id FROM store WHERE one = 1");
        if (rows.next()) {
            const std::string_view bytes = rows.bytes(0);
            if (bytes.size() == id.bytes.size()) {
                std::copy(bytes.begin(), bytes.end(), id.bytes.begin());
            }
        }
    }
    if (!run.ok()) return run.error();
    return id;
}

}  // namespace mooncake::store
