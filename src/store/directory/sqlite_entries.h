// SPDX-License-Identifier: Apache-2.0
// The table of objects.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "directory_backend.h"
#include "entry_reader.h"
#include "sqlite_database.h"

namespace mooncake::store {

class SqliteEntries : public EntryRecords {
 public:
    SqliteEntries(SqliteDatabase* database, Counters* counters)
        : database_(database), reader_(counters) {}

    size_t groupLimit() const override;
    Result<ChangeOutcomes> set(ClientId client, const std::vector<const Change*>& changes,
                               Deadline deadline) override;
    Result<> read(const std::vector<std::string>& keys, Need need, const Found& found,
                  Deadline deadline) override;
    Result<std::vector<Edit>> edit(const std::vector<std::string>& keys,
                                   const Directory::Editor& editor, Deadline deadline) override;
    Result<std::vector<bool>> remove(const std::vector<std::string>& keys,
                                     Deadline deadline) override;
    Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                      Deadline deadline) override;

 private:
    using Kind = SqliteDatabase::Kind;

    struct Place {
        uint64_t hash;
        size_t at;  // among the keys
    };
    Result<> readShare(std::span<const Place> places, const Found& found, Deadline deadline);
    // Writes keys one after the other, in transactions that are short.
    // @param step  (SqliteRun*, size_t) -> void
    template <class Step>
    Result<> inBatches(const std::vector<std::string>& keys, Deadline deadline, const Step& step);

    SqliteDatabase* const database_;
    const EntryReader reader_;
};

}  // namespace mooncake::store
