// SPDX-License-Identifier: Apache-2.0
#include "sqlite_entries.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <map>
#include <thread>
#include <unordered_map>

#include "entry_codec.h"
#include "key_range.h"
#include "sqlite_records.h"
#include "stale_entry.h"
#include "thread.h"

namespace mooncake::store {

namespace {

constexpr size_t kGroup = 4096;
// A transaction that holds up the others for no longer than that many keys take.
constexpr size_t kBatch = 1000;
// Fewer keys than this are not worth a second thread.
constexpr size_t kKeysOfAThread = 2048;

// So many keys are looked up by one statement: the statement's own part takes as long as finding a
// key.
constexpr size_t kKeysOfAStatement = 128;

const char* lookUpOfMany() {
    static const std::string text = [] {
        std::string values;
        for (size_t i = 0; i < kKeysOfAStatement; ++i) {
            values += (i == 0 ? "(" : ", (") + std::to_string(i) + ", ?)";
        }
        return "SELECT asked.column1, entry.entry FROM (VALUES " + values +
               ") AS asked CROSS JOIN entry ON entry.hash = asked.column2";
    }();
    return text.c_str();
}

// Under which an entry is found: numbers are small and quickly compared, so that it takes half the
// time that the key itself would. The entry's check tells whether it is this key's: of two keys of
// one hash (once in 10^6 stores of four million objects) one is a miss.
uint64_t hashOf(std::string_view key) {
    return XXH3_64bits(key.data(), key.size());
}

// @return whether it was there
bool erase(SqliteRun* run, std::string_view key) {
    if (run->run("DELETE FROM entry WHERE hash = ?", hashOf(key)) == 0) return false;
    run->run("DELETE FROM object WHERE key = ?", key);
    return true;
}

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
        const bool absent = change.when == Change::When::kAbsent;
        const uint64_t hash = hashOf(change.key);
        if (change.when == Change::When::kUnchanged) {
            const std::string before = encodeEntry(change.key, change.before);
            if (run->run("UPDATE entry SET entry = ? WHERE hash = ? AND entry = ?",
                         std::string_view(entry), hash, std::string_view(before)) != 0) {
                return ChangeOutcome::kDone;
            }
        } else if (run->run(absent ? "INSERT INTO entry VALUES(?, ?) ON CONFLICT DO NOTHING"
                                   : "INSERT INTO entry VALUES(?, ?) ON CONFLICT DO UPDATE SET "
                                     "entry = excluded.entry",
                            hash, std::string_view(entry)) != 0) {
            run->run("INSERT INTO object VALUES(?) ON CONFLICT DO NOTHING",
                     std::string_view(change.key));
            return ChangeOutcome::kDone;
        }
        std::string found;
        {
            auto rows = run->select("SELECT entry FROM entry WHERE hash = ?", hash);
            if (rows.next()) found = rows.bytes(0);
        }
        // The same call again, after its answer was lost.
        if (found == entry) return ChangeOutcome::kDone;
        if (!absent) return ChangeOutcome::kChanged;
        const auto other = reader_.decode(change.key, found);
        if (other && !isStale(*other, fileGone, generationOf)) return ChangeOutcome::kExists;
        run->run("UPDATE entry SET entry = ? WHERE hash = ?", std::string_view(entry), hash);
        // That one's key may be another's.
        run->run("INSERT INTO object VALUES(?) ON CONFLICT DO NOTHING",
                 std::string_view(change.key));
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

Result<> SqliteEntries::readShare(std::span<const Place> places, const Found& found,
                                  Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    SqliteRun* run = turn->get();
    std::array<uint64_t, kKeysOfAStatement> hashes;
    while (places.size() >= hashes.size() && run->ok()) {
        std::transform(places.begin(), places.begin() + hashes.size(), hashes.begin(),
                       [](const Place& place) { return place.hash; });
        auto rows = run->select(lookUpOfMany(), std::span<const uint64_t>(hashes));
        while (rows.next()) found(places[rows.number(0)].at, rows.bytes(1));
        places = places.subspan(hashes.size());
    }
    for (const Place& place : places) {
        auto rows = run->select("SELECT entry FROM entry WHERE hash = ?", place.hash);
        if (rows.next()) found(place.at, rows.bytes(0));
        if (!run->ok()) break;
    }
    return database_->finish(&*turn);
}

Result<> SqliteEntries::read(const std::vector<std::string>& keys, Need, const Found& found,
                             Deadline deadline) {
    std::vector<Place> places(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) places[i] = {hashOf(keys[i]), i};
    // Neighbours lie on the same pages.
    std::sort(places.begin(), places.end(),
              [](const Place& one, const Place& other) { return one.hash < other.hash; });
    const size_t threads = std::clamp<size_t>(
        keys.size() / kKeysOfAThread, 1,
        std::min<size_t>(SqliteDatabase::kReaders, std::thread::hardware_concurrency()));
    std::vector<Result<>> results(threads);
    const auto share = [&](size_t number) {
        const size_t begin = places.size() * number / threads;
        const size_t end = places.size() * (number + 1) / threads;
        results[number] = withoutThrowing([&] {
            return readShare(std::span(places).subspan(begin, end - begin), found, deadline);
        });
    };
    std::vector<std::thread> helpers;
    helpers.reserve(threads);
    for (size_t i = 1; i < threads; ++i) {
        if (auto started = startThread("store-read", [&share, i] { share(i); })) {
            helpers.push_back(std::move(*started));
        } else {
            share(i);
        }
    }
    share(0);
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
            auto rows = run->select("SELECT entry FROM entry WHERE hash = ?", hashOf(key));
            if (!rows.next()) return;
            next = reader_.edit(key, rows.bytes(0), editor);
        }
        edits[at] = next.edit;
        if (next.edit == Edit::kRemove) {
            erase(run, key);
        } else if (next.edit == Edit::kChange) {
            run->run("UPDATE entry SET entry = ? WHERE hash = ?", std::string_view(next.bytes),
                     hashOf(key));
        }
    });
    if (!edited) return tl::unexpected<Error>(edited.error());
    return edits;
}

Result<std::vector<bool>> SqliteEntries::remove(const std::vector<std::string>& keys,
                                                Deadline deadline) {
    std::vector<bool> removed(keys.size());
    const auto done = inBatches(
        keys, deadline, [&](SqliteRun* run, size_t at) { removed[at] = erase(run, keys[at]); });
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
        auto rows =
            end.empty()
                ? (*turn)->select("SELECT key FROM object WHERE key >= ? ORDER BY key",
                                  std::string_view(first))
                : (*turn)->select("SELECT key FROM object WHERE key >= ? AND key < ? ORDER BY key",
                                  std::string_view(first), std::string_view(end));
        while (rows.next()) {
            std::string key(rows.bytes(0));
            if (page.objects.size() >= std::max<size_t>(limit, 1)) {
                page.next = std::move(key);
                break;
            }
            auto one = (*turn)->select("SELECT entry FROM entry WHERE hash = ?", hashOf(key));
            if (!one.next()) continue;
            auto entry = reader_.decode(key, one.bytes(0));
            if (entry) page.objects.emplace_back(std::move(key), std::move(*entry));
        }
    }
    return database_->finish(&*turn, std::move(page));
}

}  // namespace mooncake::store
