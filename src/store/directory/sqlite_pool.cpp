// SPDX-License-Identifier: Apache-2.0
#include "sqlite_pool.h"

#include "sqlite_schema.h"

namespace mooncake::store {

Result<SqlitePool::Loan> SqlitePool::take(Deadline deadline) {
    {
        std::unique_lock lock(mutex_);
        const bool there =
            wake_.wait_until(lock, deadline, [this] { return !idle_.empty() || made_ < most_; });
        if (!there) {
            return failed(Failure::kTimeout, "the directory '" + path_ +
                                                 "' is in use by other threads of this process for "
                                                 "longer than this call may take");
        }
        if (!idle_.empty()) {
            auto connection = std::move(idle_.back());
            idle_.pop_back();
            return Loan(this, std::move(connection));
        }
        ++made_;
    }
    auto connection = withoutThrowing([&] { return open(deadline); });
    if (connection) return Loan(this, std::move(*connection));
    const std::lock_guard lock(mutex_);
    --made_;
    wake_.notify_one();
    return tl::unexpected<Error>(connection.error());
}

Result<std::unique_ptr<SqliteConnection>> SqlitePool::open(Deadline deadline) const {
    auto connection = SqliteConnection::open(path_, may_make_);
    if (!connection) return connection;
    if (const auto opened = prepareConnection(connection->get(), deadline); !opened) {
        return tl::unexpected<Error>(opened.error());
    }
    return connection;
}

void SqlitePool::giveBack(std::unique_ptr<SqliteConnection> connection) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
    wake_.notify_one();
}

}  // namespace mooncake::store
