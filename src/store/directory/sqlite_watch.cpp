// SPDX-License-Identifier: Apache-2.0
#include "sqlite_watch.h"

#include <algorithm>
#include <thread>

#include "sqlite_records.h"

namespace mooncake::store {

using std::chrono::steady_clock;

Result<Changes> SqliteWatch::next(Deadline deadline) {
    constexpr auto kLook = std::chrono::milliseconds(20);
    for (;;) {
        auto changes = look(deadline);
        if (!changes || !changes->empty()) return changes;
        const auto now = steady_clock::now();
        if (now + kLook >= deadline) {
            if (now < deadline) std::this_thread::sleep_until(deadline);
            return changes;
        }
        std::this_thread::sleep_for(kLook);
    }
}

Result<Changes> SqliteWatch::look(Deadline deadline) {
    auto turn = database_->begin(SqliteDatabase::Kind::kRead,
                                 std::max(deadline, steady_clock::now() + std::chrono::seconds(1)));
    if (!turn) return tl::unexpected<Error>(turn.error());
    Changes changes;
    changes.complete = !started_;
    std::map<FileNumber, FileInfo> files;
    for (FileInfo& info : readFiles(turn->get(), database_->boot())) {
        const auto before = files_.find(info.number);
        if (before == files_.end() || before->second != info) changes.files.push_back(info);
        files.emplace(info.number, std::move(info));
    }
    uint64_t sequence = sequence_;
    if (started_) {
        auto rows = (*turn)->select(
            "SELECT file, number, record, used, change FROM region WHERE change > ? ORDER BY "
            "change",
            sequence_);
        while (rows.next()) {
            const RegionId id{static_cast<FileNumber>(rows.number(0)),
                              static_cast<RegionIndex>(rows.number(1))};
            if (const auto record = decodeRegion(rows.bytes(2))) {
                changes.regions.push_back(record->with(id, rows.number(3)));
            }
            sequence = rows.number(4);
        }
    } else {
        auto rows = (*turn)->select("SELECT sequence FROM store");
        if (rows.next()) sequence = rows.number(0);
    }
    auto done = database_->finish(&*turn, std::move(changes));
    if (done) {
        started_ = true;
        files_ = std::move(files);
        sequence_ = sequence;
    }
    return done;
}

}  // namespace mooncake::store
