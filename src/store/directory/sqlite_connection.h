// SPDX-License-Identifier: Apache-2.0
// A connection to the database, and what is done with it in one go.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "directory_types.h"
#include "error.h"

namespace mooncake::store {

class SqliteConnection {
 public:
    // Opens the file, or makes it if it may; does not look into it.
    static Result<std::unique_ptr<SqliteConnection>> open(const std::string& path, bool may_make);
    ~SqliteConnection();
    SqliteConnection(const SqliteConnection&) = delete;
    SqliteConnection& operator=(const SqliteConnection&) = delete;

    sqlite3* handle() const { return handle_; }
    // Of what follows; whatever waits or computes ends then.
    void setDeadline(Deadline deadline) { deadline_ = deadline; }
    // Compiled once for each text, which is a constant. Null on an error.
    sqlite3_stmt* statement(const char* sql);
    // What the last call of the library came to.
    Error error(int code) const;
    // How safe what follows is against a power cut: "NORMAL" or "FULL".
    int setSynchronous(bool full);

 private:
    explicit SqliteConnection(std::string path) : path_(std::move(path)) {}

    const std::string path_;
    sqlite3* handle_ = nullptr;
    Deadline deadline_ = Deadline::max();
    int full_ = -1;
    std::unordered_map<const char*, sqlite3_stmt*> statements_;
};

// Statements on a connection, one after the other. The first error stays, and what follows does
// nothing then.
class SqliteRun {
 public:
    enum class Kind { kRead, kWrite, kDurableWrite };

    // Begins a transaction, and rolls it back in the end unless commit() was called.
    SqliteRun(SqliteConnection* connection, Kind kind, Deadline deadline);
    ~SqliteRun();
    SqliteRun(const SqliteRun&) = delete;
    SqliteRun& operator=(const SqliteRun&) = delete;

    class Rows;
    // Texts are bound as blobs, numbers as integers.
    template <class... Values>
    Rows select(const char* sql, const Values&... values);
    // The same with as many numbers as the statement has places.
    Rows select(const char* sql, std::span<const uint64_t> numbers);
    // @return how many rows it has changed
    template <class... Values>
    int64_t run(const char* sql, const Values&... values);

    bool ok() const { return code_ == SQLITE_OK; }
    Result<> commit();
    tl::unexpected<Error> error() const { return tl::unexpected<Error>(error_); }

 private:
    friend class Rows;
    // @return nullptr after an error
    sqlite3_stmt* prepared(const char* sql);
    bool step(sqlite3_stmt* statement);
    void note(int code);
    static void bind(sqlite3_stmt* statement, int at, std::string_view bytes) {
        sqlite3_bind_blob64(statement, at, bytes.data() == nullptr ? "" : bytes.data(),
                            bytes.size(), SQLITE_STATIC);
    }
    static void bind(sqlite3_stmt* statement, int at, uint64_t number) {
        sqlite3_bind_int64(statement, at, static_cast<int64_t>(number));
    }

    SqliteConnection* const connection_;
    int code_ = SQLITE_OK;
    Error error_;
    bool open_ = false;
};

// Gives the statement back with its end.
class SqliteRun::Rows {
 public:
    Rows(SqliteRun* run, sqlite3_stmt* statement) : run_(run), statement_(statement) {}
    ~Rows() {
        if (statement_ != nullptr) sqlite3_reset(statement_);
    }
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;

    bool next() { return run_->step(statement_); }
    uint64_t number(int column) const {
        return static_cast<uint64_t>(sqlite3_column_int64(statement_, column));
    }
    bool isNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    // Valid until next() or the end.
    std::string_view bytes(int column) const {
        const void* data = sqlite3_column_blob(statement_, column);
        return {static_cast<const char*>(data),
                static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
    }

 private:
    SqliteRun* const run_;
    sqlite3_stmt* const statement_;
};

template <class... Values>
SqliteRun::Rows SqliteRun::select(const char* sql, const Values&... values) {
    sqlite3_stmt* statement = prepared(sql);
    [[maybe_unused]] int at = 0;
    if (statement != nullptr) (bind(statement, ++at, values), ...);
    return Rows(this, statement);
}

inline SqliteRun::Rows SqliteRun::select(const char* sql, std::span<const uint64_t> numbers) {
    sqlite3_stmt* statement = prepared(sql);
    int at = 0;
    if (statement != nullptr) {
        for (const uint64_t number : numbers) bind(statement, ++at, number);
    }
    return Rows(this, statement);
}

template <class... Values>
int64_t SqliteRun::run(const char* sql, const Values&... values) {
    Rows rows = select(sql, values...);
    while (rows.next()) {
    }
    return ok() ? sqlite3_changes64(connection_->handle()) : 0;
}

}  // namespace mooncake::store
