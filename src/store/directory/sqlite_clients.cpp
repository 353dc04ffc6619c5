// SPDX-License-Identifier: Apache-2.0
#include "sqlite_clients.h"

#include "random_id.h"
#include "sqlite_records.h"

namespace mooncake::store {

Result<ClientRecords::Joined> SqliteClients::add(const std::string& node, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    if (database_->isReplaced()) return failed(Failure::kUnavailable, database_->replacedText());
    const auto now = BootClock::now();
    const ClientId client = randomId();
    (*turn)->run("DELETE FROM client WHERE boot <> ? OR ends <= ?",
                 std::string_view(database_->boot()), nanoseconds(now));
    (*turn)->run("INSERT INTO client VALUES(?, ?, ?, ?)", client, std::string_view(node),
                 std::string_view(database_->boot()), nanoseconds(now + lease_));
    return database_->finish(&*turn, Joined{client, now + lease_});
}

Result<> SqliteClients::remove(ClientId client, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    (*turn)->run("DELETE FROM client WHERE id = ?", client);
    (*turn)->run("UPDATE file SET mount = NULL, mounted_by = NULL WHERE mounted_by = ?", client);
    return database_->finish(&*turn);
}

Result<BootClock::time_point> SqliteClients::renew(ClientId client, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    // What is in a file that nobody else can open any more is agreed with nobody.
    if (database_->isReplaced()) return failed(Failure::kLeaseLost, database_->replacedText());
    const auto now = BootClock::now();
    const auto end = now + lease_;
    // Somebody may have acted on its end already: it does not come back.
    const int64_t renewed = (*turn)->run(
        "UPDATE client SET ends = ? WHERE id = ? AND boot = ? AND ends > ?", nanoseconds(end),
        client, std::string_view(database_->boot()), nanoseconds(now));
    auto done = database_->finish(&*turn, end);
    if (done && renewed == 0) {
        return failed(Failure::kLeaseLost, "client " + std::to_string(client) +
                                               " was silent for longer than its lease "
                                               "and is none any more; it has to join again");
    }
    return done;
}

Result<std::vector<ClientInfo>> SqliteClients::list(Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<ClientInfo> found;
    {
        auto rows =
            (*turn)->select("SELECT id, node FROM client WHERE boot = ? AND ends > ?",
                            std::string_view(database_->boot()), nanoseconds(BootClock::now()));
        while (rows.next()) found.push_back({rows.number(0), std::string(rows.bytes(1))});
    }
    return database_->finish(&*turn, std::move(found));
}

}  // namespace mooncake::store
