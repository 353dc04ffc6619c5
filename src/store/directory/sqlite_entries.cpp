// SPDX-License-Identifier: Apache-2.0
#include "sqlite_entries.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <thread>
#include <unordered_map>

#include "entry_codec.h"
#include "key_range.h"
#include "sqlite_records.h"
#include "stale_entry.h"

namespace mooncake::store {

namespace {

constexpr size_t kGroup = 4096;
// A transaction that holds up the others for no longer than that many keys take.
constexpr size_t kBatch = 1000;
// Fewer keys than this are not worth a second thread.
constexpr size_t kKeysOfAThread = 2048;

}  // namespace

size_t SqliteEntries::groupLimit() const {
    return kGroup;
}

Result<ChangeOutcomes> SqliteEntries::set(ClientId client,
                                          const std::vector<const Change*>& changes,
                                          Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    SqliteRun* run = turn->get();
    std::unordered_map<RegionId, std::optional<RegionRecord>> regions;
    std::map<FileNumber, bool> gone;
    const auto regionOf = [&](RegionId id) -> const std::optional<RegionRecord>& {
        const auto [at, is_new] = regions.try_emplace(id);
        if (is_new) at->second = findRegion(run, id);
        return at->second;
    };
    const auto fileGone = [&](FileNumber file) {
        const auto [at, is_new] = gone.try_emplace(file, false);
        if (is_new) at->second = isGone(findFile(run, database_->boot(), file));
        return at->second;
    };
    const auto generationOf = [&](RegionId id) {
        const auto& record = regionOf(id);
        return record ? record->generation : Generation{0};
    };
    const auto set = [&](const Change& change, const std::string& entry) {
        const std::string_view key = change.key;
        if (change.when == Change::When::kAlways) {
            run->run(
                "INSERT INTO object VALUES(?, ?) ON CONFLICT DO UPDATE SET entry = "
                "excluded.entry",
                key, std::string_view(entry));
            return ChangeOutcome::kDone;
        }
        const bool absent = change.when == Change::When::kAbsent;
        if (absent ? run->run("INSERT INTO object VALUES(?, ?) ON CONFLICT DO NOTHING", key,
                              std::string_view(entry)) != 0
                   : run->run("UPDATE object SET entry = ? WHERE key = ? AND entry = ?",
                              std::string_view(entry), key,
                              std::string_view(encodeEntry(key, change.before))) != 0) {
            return ChangeOutcome::kDone;
        }
        std::string found;
        {
            auto rows = run->select("SELECT entry FROM object WHERE key = ?", key);
            if (rows.next()) found = rows.bytes(0);
        }
        // The same call again, after its answer was lost.
        if (found == entry) return ChangeOutcome::kDone;
        if (!absent) return ChangeOutcome::kChanged;
        const auto other = reader_.decode(change.key, found);
        if (other && !isStale(*other, fileGone, generationOf)) return ChangeOutcome::kExists;
        run->run("UPDATE object SET entry = ? WHERE key = ?", std::string_view(entry), key);
        return ChangeOutcome::kDone;
    };
    ChangeOutcomes outcomes(changes.size(), ChangeOutcome::kRegionLost);
    for (size_t i = 0; i < changes.size() && run->ok(); ++i) {
        bool ours = true;
        forNewExtents(*changes[i], [&](const Extent& extent) {
            const auto& record = regionOf(extent.region);
            ours = ours && record && record->state == RegionState::kOpen &&
                   record->owner == client && record->generation == extent.generation;
        });
        if (ours) outcomes[i] = set(*changes[i], encodeEntry(changes[i]->key, changes[i]->entry));
    }
    return database_->finish(&*turn, std::move(outcomes));
}

Result<> SqliteEntries::readSome(const std::vector<std::string>& keys, std::span<size_t> which,
                                 const Found& found, Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    // Neighbours lie on the same pages.
    std::sort(which.begin(), which.end(),
              [&](size_t one, size_t other) { return keys[one] < keys[other]; });
    for (const size_t at : which) {
        auto rows =
            (*turn)->select("SELECT entry FROM object WHERE key = ?", std::string_view(keys[at]));
        if (rows.next()) found(at, rows.bytes(0));
        if (!(*turn)->ok()) break;
    }
    return database_->finish(&*turn);
}

Result<> SqliteEntries::read(const std::vector<std::string>& keys, Need, const Found& found,
                             Deadline deadline) {
    std::vector<size_t> order(keys.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const size_t threads = std::clamp<size_t>(
        keys.size() / kKeysOfAThread, 1,
        std::min<size_t>(SqliteDatabase::kReaders, std::thread::hardware_concurrency()));
    std::vector<Result<>> results(threads);
    const auto readShare = [&](size_t number) {
        const size_t begin = keys.size() * number / threads;
        const size_t end = keys.size() * (number + 1) / threads;
        results[number] =
            readSome(keys, std::span(order).subspan(begin, end - begin), found, deadline);
    };
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < threads; ++i) helpers.emplace_back(readShare, i);
    readShare(0);
    for (std::thread& helper : helpers) helper.join();
    for (const auto& result : results) {
        if (!result) return result;
    }
    return {};
}

template <class Step>
Result<> SqliteEntries::inBatches(const std::vector<std::string>& keys, Deadline deadline,
                                  const Step& step) {
    for (size_t begin = 0; begin < keys.size(); begin += kBatch) {
        auto turn = database_->begin(Kind::kWrite, deadline);
        if (!turn) return tl::unexpected<Error>(turn.error());
        for (size_t at = begin; at < std::min(begin + kBatch, keys.size()); ++at) {
            step(turn->get(), at);
        }
        if (auto done = database_->finish(&*turn); !done) return done;
    }
    return {};
}

Result<std::vector<Edit>> SqliteEntries::edit(const std::vector<std::string>& keys,
                                              const Directory::Editor& editor, Deadline deadline) {
    std::vector<Edit> edits(keys.size(), Edit::kKeep);
    const auto edited = inBatches(keys, deadline, [&](SqliteRun* run, size_t at) {
        const std::string_view key = keys[at];
        EntryReader::Edited next;
        {
            auto rows = run->select("SELECT entry FROM object WHERE key = ?", key);
            if (!rows.next()) return;
            next = reader_.edit(key, rows.bytes(0), editor);
        }
        edits[at] = next.edit;
        if (next.edit == Edit::kRemove) {
            run->run("DELETE FROM object WHERE key = ?", key);
        } else if (next.edit == Edit::kChange) {
            run->run("UPDATE object SET entry = ? WHERE key = ?", std::string_view(next.bytes),
                     key);
        }
    });
    if (!edited) return tl::unexpected<Error>(edited.error());
    return edits;
}

Result<std::vector<bool>> SqliteEntries::remove(const std::vector<std::string>& keys,
                                                Deadline deadline) {
    std::vector<bool> removed(keys.size());
    const auto done = inBatches(keys, deadline, [&](SqliteRun* run, size_t at) {
        removed[at] = run->run("DELETE FROM object WHERE key = ?", std::string_view(keys[at])) != 0;
    });
    if (!done) return tl::unexpected<Error>(done.error());
    return removed;
}

Result<Page> SqliteEntries::list(const std::string& prefix, const std::string& from, size_t limit,
                                 Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const std::string first = std::max(prefix, from);
    const std::string end = endOfPrefix(prefix);
    Page page;
    {
        auto rows = end.empty() ? (*turn)->select(
                                      "SELECT key, entry FROM object WHERE key >= ? "
                                      "ORDER BY key",
                                      std::string_view(first))
                                : (*turn)->select(
                                      "SELECT key, entry FROM object WHERE key >= ? AND "
                                      "key < ? ORDER BY key",
                                      std::string_view(first), std::string_view(end));
        while (rows.next()) {
            std::string key(rows.bytes(0));
            if (page.objects.size() >= std::max<size_t>(limit, 1)) {
                page.next = std::move(key);
                break;
            }
            auto entry = reader_.decode(key, rows.bytes(1));
            if (entry) page.objects.emplace_back(std::move(key), std::move(*entry));
        }
    }
    return database_->finish(&*turn, std::move(page));
}

}  // namespace mooncake::store
