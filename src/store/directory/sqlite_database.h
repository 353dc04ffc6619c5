// SPDX-License-Identifier: Apache-2.0
// The database of a directory: its file, the connections to it, and transactions on them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>

#include "counters.h"
#include "sqlite_connection.h"
#include "sqlite_pool.h"

namespace mooncake::store {

class SqliteDatabase {
 public:
    using Kind = SqliteRun::Kind;
    // How many may read at once.
    static constexpr size_t kReaders = 8;

    // Makes the file and its folder where there is none.
    // @param fresh  the id that a new directory gets
    static Result<std::unique_ptr<SqliteDatabase>> open(const std::string& path, const Uuid& fresh,
                                                        Counters* counters, Deadline deadline);

    // A transaction on a connection of a pool.
    class Turn {
     public:
        SqliteRun* operator->() const { return run_.get(); }
        SqliteRun* get() const { return run_.get(); }

     private:
        friend class SqliteDatabase;
        Turn(SqlitePool::Loan loan, std::unique_ptr<SqliteRun> run)
            : loan_(std::move(loan)), run_(std::move(run)) {}

        SqlitePool::Loan loan_;
        std::unique_ptr<SqliteRun> run_;  // ends before the loan does
    };
    Result<Turn> begin(Kind kind, Deadline deadline);
    // Commits, or tells the turn's error.
    Result<> finish(Turn* turn);
    template <class T>
    Result<T> finish(Turn* turn, T value) {
        if (auto done = finish(turn); !done) return tl::unexpected<Error>(done.error());
        return value;
    }

    // Returns when everything that was committed is on the disk. Nobody waits for it but the
    // caller, as others do for a durable write.
    Result<> flush();

    const std::string& path() const { return path_; }
    // The store's.
    const Uuid& id() const { return id_; }
    // The kernel's boot, with which leases end.
    const std::string& boot() const { return boot_; }
    // Whether what lies at the path now is another file than was opened.
    bool isReplaced() const;
    std::string replacedText() const;

 private:
    SqliteDatabase(std::string path, Counters* counters);
    tl::unexpected<Error> refuse(const Error& error);

    const std::string path_;
    const std::string log_;
    const std::string boot_;
    Counters* const counters_;
    Uuid id_;
    dev_t device_ = 0;  // of the file, as it was opened
    ino_t inode_ = 0;
    SqlitePool writers_;  // one: more would wait for each other
    SqlitePool readers_;
};

}  // namespace mooncake::store
