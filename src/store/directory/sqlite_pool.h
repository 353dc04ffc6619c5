// SPDX-License-Identifier: Apache-2.0
// Connections to one database, each for one thread at a time.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sqlite_connection.h"

namespace mooncake::store {

class SqlitePool {
 public:
    // @param may_make  whether they make the file where there is none
    SqlitePool(std::string path, size_t most, bool may_make)
        : path_(std::move(path)), most_(most), may_make_(may_make) {
        // Giving one back takes no memory.
        idle_.reserve(most);
    }

    // Goes back to the pool with its end.
    class Loan {
     public:
        Loan(SqlitePool* pool, std::unique_ptr<SqliteConnection> connection)
            : pool_(pool), connection_(std::move(connection)) {}
        Loan(Loan&&) = default;
        Loan& operator=(Loan&&) = delete;
        ~Loan() {
            if (connection_) pool_->giveBack(std::move(connection_));
        }
        SqliteConnection* get() const { return connection_.get(); }

     private:
        SqlitePool* pool_;
        std::unique_ptr<SqliteConnection> connection_;
    };

    // A connection whose tables were looked at. kTimeout where all are in use until the deadline.
    Result<Loan> take(Deadline deadline);

 private:
    Result<std::unique_ptr<SqliteConnection>> open(Deadline deadline) const;
    void giveBack(std::unique_ptr<SqliteConnection> connection);

    const std::string path_;
    const size_t most_;
    const bool may_make_;
    std::mutex mutex_;
    std::condition_variable wake_;
    size_t made_ = 0;
    std::vector<std::unique_ptr<SqliteConnection>> idle_;
};

}  // namespace mooncake::store
