// SPDX-License-Identifier: Apache-2.0
#include "sqlite_backend.h"

#include <sys/stat.h>

#include <cerrno>

#include "sqlite_clients.h"
#include "sqlite_database.h"
#include "sqlite_entries.h"
#include "sqlite_files.h"
#include "sqlite_regions.h"
#include "sqlite_watch.h"

namespace mooncake::store {

namespace {

class SqliteBackend : public DirectoryBackend {
 public:
    SqliteBackend(std::unique_ptr<SqliteDatabase> database, const DirectoryOptions& options,
                  Counters* counters)
        : database_(std::move(database)),
          clients_(database_.get(), options.lease),
          files_(database_.get()),
          regions_(database_.get()),
          entries_(database_.get(), counters) {}

    Uuid storeId() const override { return database_->id(); }
    ClientRecords& clients() override { return clients_; }
    FileRecords& files() override { return files_; }
    RegionRecords& regions() override { return regions_; }
    EntryRecords& entries() override { return entries_; }
    std::unique_ptr<DirectoryWatch> watch() override {
        return std::make_unique<SqliteWatch>(database_.get());
    }
    Result<> ping(Deadline deadline) override;
    Result<std::vector<Finding>> check(Deadline deadline) override;

 private:
    const std::unique_ptr<SqliteDatabase> database_;
    SqliteClients clients_;
    SqliteFiles files_;
    SqliteRegions regions_;
    SqliteEntries entries_;
};

Result<> SqliteBackend::ping(Deadline deadline) {
    auto turn = database_->begin(SqliteDatabase::Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    {
        auto rows = (*turn)->select("SELECT sequence FROM store");
        rows.next();
    }
    return database_->finish(&*turn);
}

Result<std::vector<Finding>> SqliteBackend::check(Deadline deadline) {
    std::vector<Finding> findings;
    auto turn = database_->begin(SqliteDatabase::Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    {
        auto rows = (*turn)->select("PRAGMA quick_check(1)");
        if (rows.next() && rows.bytes(0) != "ok") {
            findings.push_back({Finding::Severity::kError,
                                "the database '" + database_->path() +
                                    "' is damaged: " + std::string(rows.bytes(0)) +
                                    "; make the directory again from the store's files"});
        }
    }
    {
        auto rows = (*turn)->select(
            "SELECT (SELECT * FROM pragma_page_count) * (SELECT * FROM pragma_page_size), "
            "(SELECT * FROM pragma_freelist_count) * (SELECT * FROM pragma_page_size)");
        if (rows.next()) {
            findings.push_back({Finding::Severity::kNote,
                                "the database has " + std::to_string(rows.number(0)) +
                                    " bytes, of which " + std::to_string(rows.number(1)) +
                                    " are free for new entries"});
        }
    }
    if (database_->isReplaced()) {
        findings.push_back({Finding::Severity::kError, database_->replacedText()});
    }
    return database_->finish(&*turn, std::move(findings));
}

}  // namespace

Result<std::unique_ptr<DirectoryBackend>> openSqliteBackend(const std::string& path,
                                                            const DirectoryOptions& options,
                                                            Counters* counters, Deadline deadline) {
    struct stat status;
    if (!options.may_make && ::stat(path.c_str(), &status) != 0 && errno == ENOENT) {
        return failed(Failure::kNotFound, "there is no directory of a store at '" + path +
                                              "'; name the one that its nodes use");
    }
    auto database =
        SqliteDatabase::open(path, options.new_store.value_or(Uuid::random()), counters, deadline);
    if (!database) return tl::unexpected<Error>(database.error());
    return std::make_unique<SqliteBackend>(std::move(*database), options, counters);
}

}  // namespace mooncake::store
