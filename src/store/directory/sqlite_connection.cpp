// SPDX-License-Identifier: Apache-2.0
#include "sqlite_connection.h"

#include <algorithm>
#include <thread>

namespace mooncake::store {

namespace {

using std::chrono::steady_clock;

// How many steps of its machine SQLite takes between two looks at the clock.
constexpr int kSteps = 10000;

int whenBusy(void* deadline, int tries) {
    const auto now = steady_clock::now();
    const auto end = *static_cast<const Deadline*>(deadline);
    if (now >= end) return 0;
    const auto pause = std::chrono::microseconds(std::min(100 << std::min(tries, 5), 2000));
    std::this_thread::sleep_for(std::min<steady_clock::duration>(pause, end - now));
    return 1;
}

int isOver(void* deadline) {
    return steady_clock::now() >= *static_cast<const Deadline*>(deadline) ? 1 : 0;
}

Failure failureOf(int code) {
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
        case SQLITE_INTERRUPT:
            return Failure::kTimeout;
        case SQLITE_FULL:
            return Failure::kFull;
        case SQLITE_PERM:
        case SQLITE_READONLY:
        case SQLITE_AUTH:
            return Failure::kRefused;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Failure::kDamaged;
        case SQLITE_CANTOPEN:
        case SQLITE_IOERR:
            return Failure::kUnavailable;
        default:
            return Failure::kInternal;
    }
}

const char* remedyFor(int code) {
    switch (code & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return "; another process holds it for longer than this call may take";
        case SQLITE_FULL:
            return "; make room on its disk";
        case SQLITE_PERM:
        case SQLITE_READONLY:
        case SQLITE_CANTOPEN:
            return "; this process must be able to write the file and its folder";
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return "; move it away, and make the directory again from the store's files";
        default:
            return "";
    }
}

}  // namespace

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::string& path,
                                                                 bool may_make) {
    std::unique_ptr<SqliteConnection> connection(new SqliteConnection(path));
    // One thread at a time has it, by the pool that it is in.
    const int code = sqlite3_open_v2(path.c_str(), &connection->handle_,
                                     SQLITE_OPEN_READWRITE | (may_make ? SQLITE_OPEN_CREATE : 0) |
                                         SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                     nullptr);
    if (code != SQLITE_OK) return tl::unexpected<Error>(connection->error(code));
    sqlite3_busy_handler(connection->handle_, whenBusy, &connection->deadline_);
    sqlite3_progress_handler(connection->handle_, kSteps, isOver, &connection->deadline_);
    return connection;
}

SqliteConnection::~SqliteConnection() {
    for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(handle_);
}

sqlite3_stmt* SqliteConnection::statement(const char* sql) {
    // Its place comes first: where there is no memory for it, no statement is left without an
    // owner.
    sqlite3_stmt*& statement = statements_[sql];
    if (statement == nullptr) {
        sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    }
    return statement;
}

Error SqliteConnection::error(int code) const {
    const char* text = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
    return {failureOf(code), "the directory '" + path_ + "' does not work: " + text + " (" +
                                 std::to_string(code) + ")" + remedyFor(code)};
}

int SqliteConnection::setSynchronous(bool full) {
    if (full_ == (full ? 1 : 0)) return SQLITE_OK;
    const int code =
        sqlite3_exec(handle_, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                     nullptr, nullptr, nullptr);
    full_ = code == SQLITE_OK ? (full ? 1 : 0) : -1;
    return code;
}

SqliteRun::SqliteRun(SqliteConnection* connection, Kind kind, Deadline deadline)
    : connection_(connection) {
    connection->setDeadline(deadline);
    if (kind != Kind::kRead) note(connection->setSynchronous(kind == Kind::kDurableWrite));
    run(kind == Kind::kRead ? "BEGIN" : "BEGIN IMMEDIATE");
    open_ = ok();
}

SqliteRun::~SqliteRun() {
    if (open_ && sqlite3_get_autocommit(connection_->handle()) == 0) {
        connection_->setDeadline(Deadline::max());
        sqlite3_exec(connection_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    }
}

Result<> SqliteRun::commit() {
    run("COMMIT");
    if (!ok()) return error();
    open_ = false;
    return {};
}

sqlite3_stmt* SqliteRun::prepared(const char* sql) {
    if (!ok()) return nullptr;
    sqlite3_stmt* statement = connection_->statement(sql);
    if (statement == nullptr) note(sqlite3_errcode(connection_->handle()));
    return statement;
}

bool SqliteRun::step(sqlite3_stmt* statement) {
    if (statement == nullptr || !ok()) return false;
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) return true;
    // It gives the error again, and the text of it stays.
    sqlite3_reset(statement);
    if (code != SQLITE_DONE) note(code);
    return false;
}

void SqliteRun::note(int code) {
    if (code == SQLITE_OK || !ok()) return;
    code_ = code;
    error_ = connection_->error(code);
}

}  // namespace mooncake::store
