// SPDX-License-Identifier: Apache-2.0
#include "sqlite_directory.h"

#include <glog/logging.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unordered_map>

#include "entry_codec.h"
#include "local_file_system.h"
#include "random_id.h"
#include "refusals.h"
#include "sqlite_schema.h"
#include "stale_entry.h"

namespace mooncake::store {

namespace {

using std::chrono::steady_clock;

constexpr size_t kGroup = 4096;
// A transaction that holds up the others for no longer than that many keys take.
constexpr size_t kBatch = 1000;
constexpr size_t kReaders = 8;
// Fewer keys than this are not worth a second thread.
constexpr size_t kKeysOfAThread = 2048;

std::string bootId() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string line;
    std::getline(file, line);
    return line;
}

uint64_t nanoseconds(BootClock::time_point time) {
    return static_cast<uint64_t>(time.time_since_epoch().count());
}

std::string_view bytesOf(const Uuid& uuid) {
    return {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()};
}

Error damagedRecord(const std::string& what) {
    return {Failure::kDamaged, "the directory's record of " + what +
                                   " is damaged, or of another version; make the directory again "
                                   "from the store's files"};
}

std::string replaced(const std::string& path) {
    return "the database '" + path +
           "' was taken away or replaced while it was in use; restart the processes that use it";
}

// The smallest key that is greater than all that begin with `prefix`; empty: there is none.
std::string endOfPrefix(std::string prefix) {
    while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
    if (!prefix.empty()) ++prefix.back();
    return prefix;
}

Result<> makeFolder(const std::string& folder) {
    if (mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return failed(errno == EACCES || errno == EROFS ? Failure::kRefused : Failure::kUnavailable,
                  "the directory's folder '" + folder + "' cannot be made: " +
                      std::strerror(errno) + "; name another place, or make it");
}

}  // namespace

struct SqliteDirectory::Turn {
    SqlitePool::Loan loan;
    std::unique_ptr<SqliteRun> transaction;  // ends before the loan does

    SqliteRun* operator->() const { return transaction.get(); }
    SqliteRun* get() const { return transaction.get(); }
};

SqliteDirectory::SqliteDirectory(std::string path, const DirectoryOptions& options)
    : path_(std::move(path)),
      options_(options),
      boot_(bootId()),
      writers_(path_, 1, true),
      readers_(path_, kReaders, false),
      group_(kGroup, [this](const auto& changes,
                            Deadline deadline) { return runGroup(changes, deadline); }),
      keeper_(options.lease, &counters_,
              [this](ClientId client, Deadline deadline) { return renew(client, deadline); }) {}

Result<std::unique_ptr<SqliteDirectory>> SqliteDirectory::open(const std::string& path,
                                                               const DirectoryOptions& options,
                                                               Deadline deadline) {
    const std::string folder = std::filesystem::absolute(path).parent_path();
    if (auto made = makeFolder(folder); !made) return tl::unexpected<Error>(made.error());
    if (auto local = checkLocalFolder(folder); !local) return tl::unexpected<Error>(local.error());
    std::unique_ptr<SqliteDirectory> directory(new SqliteDirectory(path, options));
    if (directory->boot_.empty()) {
        return failed(Failure::kUnsupported,
                      "/proc/sys/kernel/random/boot_id cannot be read, which leases need; mount "
                      "/proc");
    }
    auto writer = directory->writers_.take(deadline);
    if (!writer) return tl::unexpected<Error>(writer.error());
    const auto id = openSchema(writer->get(), deadline);
    if (!id) {
        return failed(id.error().failure, "directory '" + path + "': " + id.error().message);
    }
    directory->id_ = *id;
    struct stat status = {};
    if (stat(path.c_str(), &status) == 0) {
        directory->device_ = status.st_dev;
        directory->inode_ = status.st_ino;
    }
    return directory;
}

SqliteDirectory::~SqliteDirectory() {
    (void)leave(steady_clock::now() + std::chrono::seconds(1));
}

bool SqliteDirectory::isReplaced() const {
    struct stat status = {};
    return stat(path_.c_str(), &status) != 0 || status.st_dev != device_ || status.st_ino != inode_;
}

Result<SqliteDirectory::Turn> SqliteDirectory::begin(Kind kind, Deadline deadline) {
    auto loan = (kind == Kind::kRead ? readers_ : writers_).take(deadline);
    if (!loan) {
        counters_.add(&DirectoryStatistics::timeouts);
        return tl::unexpected<Error>(loan.error());
    }
    counters_.add(&DirectoryStatistics::round_trips);
    auto transaction = std::make_unique<SqliteRun>(loan->get(), kind, deadline);
    if (!transaction->ok()) {
        auto error = transaction->error();
        if (error.value().failure == Failure::kTimeout) {
            counters_.add(&DirectoryStatistics::timeouts);
        }
        return error;
    }
    return Turn{std::move(*loan), std::move(transaction)};
}

Result<> SqliteDirectory::finish(Turn* turn) {
    if (turn->get()->ok()) {
        if (auto done = turn->get()->commit(); done) return {};
    }
    auto error = turn->get()->error();
    if (error.value().failure == Failure::kTimeout) counters_.add(&DirectoryStatistics::timeouts);
    return error;
}

template <class T>
Result<T> SqliteDirectory::finish(Turn* turn, T value) {
    if (auto done = finish(turn); !done) return tl::unexpected<Error>(done.error());
    return value;
}

// --- Clients

Result<ClientId> SqliteDirectory::join(const std::string& node, Deadline deadline) {
    if (auto left = leave(deadline); !left) return tl::unexpected<Error>(left.error());
    auto turn = begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const auto now = BootClock::now();
    const ClientId client = randomId();
    (*turn)->run("DELETE FROM client WHERE boot <> ? OR ends <= ?", std::string_view(boot_),
                 nanoseconds(now));
    (*turn)->run("INSERT INTO client VALUES(?, ?, ?, ?)", client, std::string_view(node),
                 std::string_view(boot_), nanoseconds(now + options_.lease));
    auto done = finish(&*turn, client);
    if (done) keeper_.start(client, now + options_.lease);
    return done;
}

Result<> SqliteDirectory::leave(Deadline deadline) {
    const ClientId client = keeper_.stop();
    if (client == 0) return {};
    auto turn = begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    (*turn)->run("DELETE FROM client WHERE id = ?", client);
    (*turn)->run("UPDATE file SET mount = NULL, mounted_by = NULL WHERE mounted_by = ?", client);
    return finish(&*turn);
}

Result<BootClock::time_point> SqliteDirectory::renew(ClientId client, Deadline deadline) {
    auto turn = begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    // What is in a file that nobody else can open any more is agreed with nobody.
    if (isReplaced()) return failed(Failure::kLeaseLost, replaced(path_));
    const auto now = BootClock::now();
    const auto end = now + options_.lease;
    // Somebody may have acted on its end already: it does not come back.
    const int64_t renewed =
        (*turn)->run("UPDATE client SET ends = ? WHERE id = ? AND boot = ? AND ends > ?",
                     nanoseconds(end), client, std::string_view(boot_), nanoseconds(now));
    auto done = finish(&*turn, end);
    if (done && renewed == 0) {
        return failed(Failure::kLeaseLost, "client " + std::to_string(client) +
                                               " was silent for longer than its lease "
                                               "and is none any more; it has to join again");
    }
    return done;
}

Result<ClientId> SqliteDirectory::self() const {
    const ClientId client = keeper_.lease().client;
    if (client != 0) return client;
    return notJoined();
}

bool SqliteDirectory::lives(SqliteRun* run, ClientId client) const {
    if (client == 0) return false;
    auto rows = run->select("SELECT 1 FROM client WHERE id = ? AND boot = ? AND ends > ?", client,
                            std::string_view(boot_), nanoseconds(BootClock::now()));
    return rows.next();
}

Result<std::vector<ClientInfo>> SqliteDirectory::clients(Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<ClientInfo> found;
    {
        auto rows = (*turn)->select("SELECT id, node FROM client WHERE boot = ? AND ends > ?",
                                    std::string_view(boot_), nanoseconds(BootClock::now()));
        while (rows.next()) found.push_back({rows.number(0), std::string(rows.bytes(1))});
    }
    return finish(&*turn, std::move(found));
}

// --- Files

uint64_t SqliteDirectory::nextSequence(SqliteRun* run) const {
    auto rows = run->select("UPDATE store SET sequence = sequence + 1 RETURNING sequence");
    uint64_t sequence = 0;
    while (rows.next()) sequence = rows.number(0);
    return sequence;
}

std::vector<FileInfo> SqliteDirectory::readFiles(SqliteRun* run) const {
    std::vector<FileInfo> found;
    auto rows = run->select(
        "SELECT number, record, mount, EXISTS(SELECT 1 FROM client WHERE id = mounted_by AND "
        "boot = ? AND ends > ?) FROM file ORDER BY number",
        std::string_view(boot_), nanoseconds(BootClock::now()));
    while (rows.next()) {
        FileInfo info;
        info.number = static_cast<FileNumber>(rows.number(0));
        const auto record = decodeFile(rows.bytes(1));
        if (!record) {
            LOG(ERROR) << damagedRecord("file " + std::to_string(info.number)).message;
            continue;
        }
        info.description = record->description;
        info.state = record->state;
        if (!rows.isNull(2) && rows.number(3) != 0) info.mount = decodeMount(rows.bytes(2));
        found.push_back(std::move(info));
    }
    return found;
}

std::optional<FileInfo> SqliteDirectory::findFile(SqliteRun* run, FileNumber file) const {
    for (FileInfo& info : readFiles(run)) {
        if (info.number == file) return std::move(info);
    }
    return std::nullopt;
}

Result<std::vector<FileInfo>> SqliteDirectory::files(Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    auto found = readFiles(turn->get());
    return finish(&*turn, std::move(found));
}

Result<FileInfo> SqliteDirectory::addFile(const FileDescription& description, Deadline deadline) {
    if (auto checked = checkDescription(description); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    auto turn = begin(Kind::kDurableWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    FileNumber number = 0;
    {
        auto rows =
            (*turn)->select("SELECT number FROM file WHERE uuid = ?", bytesOf(description.uuid));
        if (rows.next()) number = static_cast<FileNumber>(rows.number(0));
    }
    if (number == 0) {
        const std::string record = encodeFile({description, FileState::kActive});
        auto rows = (*turn)->select(
            "INSERT INTO file(uuid, record, untouched, regions) VALUES(?, ?, 0, ?) "
            "RETURNING number",
            bytesOf(description.uuid), std::string_view(record), uint64_t{description.regions});
        while (rows.next()) number = static_cast<FileNumber>(rows.number(0));
    }
    auto info = findFile(turn->get(), number);
    if ((*turn)->ok() && !info) {
        return tl::unexpected<Error>(damagedRecord("file " + std::to_string(number)));
    }
    if (info && info->description != description) return otherDescription(*info);
    return finish(&*turn, info ? std::move(*info) : FileInfo());
}

Result<> SqliteDirectory::mountFile(FileNumber file, const Mount& mount, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    auto turn = begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const auto info = findFile(turn->get(), file);
    if ((*turn)->ok() && (!info || info->state != FileState::kActive)) return noSuchFile(file);
    if (info && info->mount && info->mount->client != *client) return mountedElsewhere(*info);
    if ((*turn)->ok() && !lives(turn->get(), *client)) return leaseLost(*client);
    Mount own = mount;
    own.client = *client;
    (*turn)->run("UPDATE file SET mount = ?, mounted_by = ? WHERE number = ?",
                 std::string_view(encodeMount(own)), *client, uint64_t{file});
    return finish(&*turn);
}

Result<> SqliteDirectory::unmountFile(FileNumber file, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    auto turn = begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    (*turn)->run(
        "UPDATE file SET mount = NULL, mounted_by = NULL WHERE number = ? AND mounted_by = ?",
        uint64_t{file}, *client);
    return finish(&*turn);
}

Result<> SqliteDirectory::giveUpFile(FileNumber file, Deadline deadline) {
    auto turn = begin(Kind::kDurableWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const auto info = findFile(turn->get(), file);
    if ((*turn)->ok() && !info) return noSuchFile(file);
    if (info && info->mount) return mountedElsewhere(*info);
    if (info && info->state == FileState::kActive) {
        (*turn)->run(
            "UPDATE file SET uuid = NULL, record = ?, mount = NULL, mounted_by = NULL "
            "WHERE number = ?",
            std::string_view(encodeFile({info->description, FileState::kGivenUp})), uint64_t{file});
        // Nobody takes one of them again.
        (*turn)->run("DELETE FROM region WHERE file = ?", uint64_t{file});
    }
    return finish(&*turn);
}

Result<std::vector<FreeRegions>> SqliteDirectory::freeRegions(Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<FreeRegions> found;
    {
        auto rows = (*turn)->select(
            "SELECT number, regions - untouched + (SELECT count(*) FROM region WHERE file = "
            "file.number AND state = 1) FROM file WHERE uuid IS NOT NULL ORDER BY number");
        while (rows.next()) {
            found.push_back(
                {static_cast<FileNumber>(rows.number(0)), static_cast<uint32_t>(rows.number(1))});
        }
    }
    return finish(&*turn, std::move(found));
}

// --- Regions

std::optional<RegionRecord> SqliteDirectory::findRegion(SqliteRun* run, RegionId region) const {
    auto rows = run->select("SELECT record FROM region WHERE file = ? AND number = ?",
                            uint64_t{region.file}, uint64_t{region.index});
    if (!rows.next()) return std::nullopt;
    return decodeRegion(rows.bytes(0));
}

uint64_t SqliteDirectory::writeRegion(SqliteRun* run, RegionId region,
                                      const RegionRecord& record) const {
    const uint64_t sequence = nextSequence(run);
    const std::string bytes = encodeRegion(record);
    run->run(
        "INSERT INTO region VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "state = excluded.state, record = excluded.record, used = excluded.used, "
        "change = excluded.change",
        uint64_t{region.file}, uint64_t{region.index}, static_cast<uint64_t>(record.state),
        std::string_view(bytes), sequence, sequence);
    return sequence;
}

Result<Region> SqliteDirectory::takeRegion(FileNumber file, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    // The generation must not be given twice, also not after a power cut.
    auto turn = begin(Kind::kDurableWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    SqliteRun* run = turn->get();
    if (!lives(run, *client) && run->ok()) return leaseLost(*client);
    RegionId id{file, 0};
    RegionRecord record{RegionState::kOpen, 1, *client, randomId(), {}};
    bool found = false;
    {
        auto rows =
            run->select("SELECT number, record FROM region WHERE file = ? AND state = 1 LIMIT 1",
                        uint64_t{file});
        if (rows.next()) {
            found = true;
            id.index = static_cast<RegionIndex>(rows.number(0));
            const auto now = decodeRegion(rows.bytes(1));
            if (!now) return tl::unexpected<Error>(damagedRecord("region " + toString(id)));
            record.generation = now->generation;
        }
    }
    while (!found && run->ok()) {
        auto rows = run->select(
            "UPDATE file SET untouched = untouched + 1 WHERE number = ? AND uuid IS NOT NULL AND "
            "untouched < regions RETURNING untouched - 1",
            uint64_t{file});
        if (!rows.next()) break;
        id.index = static_cast<RegionIndex>(rows.number(0));
        while (rows.next()) {
        }
        // Adopted ones lie beyond, too.
        found = !findRegion(run, id);
    }
    if (!found && run->ok()) {
        const auto info = findFile(run, file);
        if (!info || info->state != FileState::kActive) return noSuchFile(file);
        return noCleanRegion(file);
    }
    const uint64_t used = writeRegion(run, id, record);
    return finish(&*turn, record.with(id, used));
}

template <class Rule>
Result<Region> SqliteDirectory::moveRegion(RegionId region, Deadline deadline, const Rule& rule) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    auto turn = begin(Kind::kDurableWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    SqliteRun* run = turn->get();
    if (!lives(run, *client) && run->ok()) return leaseLost(*client);
    const auto info = findFile(run, region.file);
    const auto now = findRegion(run, region);
    const bool owner_lives = now && lives(run, now->owner);
    if (!run->ok()) return run->error();
    if (!info || info->state != FileState::kActive || region.index >= info->description.regions) {
        return noSuchRegion(region);
    }
    const NextRegion next = rule(now, *client, owner_lives);
    if (!next) return tl::unexpected<Error>(next.error());
    if (!*next) return now->with(region, 0);
    const uint64_t used = writeRegion(run, region, **next);
    return finish(&*turn, (*next)->with(region, used));
}

Result<Region> SqliteDirectory::adoptRegion(RegionId region, Generation generation,
                                            Deadline deadline) {
    const uint64_t token = randomId();
    return moveRegion(region, deadline, [&](const auto& now, ClientId client, bool) {
        return adoptedRegion(region, now, generation, client, token);
    });
}

Result<> SqliteDirectory::sealRegion(RegionId region, Generation generation, RegionUse use,
                                     Deadline deadline) {
    const auto moved =
        moveRegion(region, deadline, [&](const auto& now, ClientId client, bool owner_lives) {
            return sealedRegion(region, now, generation, use, client, owner_lives);
        });
    if (!moved) return tl::unexpected<Error>(moved.error());
    return {};
}

Result<Region> SqliteDirectory::beginClean(RegionId region, Generation generation,
                                           Deadline deadline) {
    return moveRegion(region, deadline, [&](const auto& now, ClientId client, bool owner_lives) {
        return cleaningRegion(region, now, generation, client, owner_lives);
    });
}

Result<> SqliteDirectory::endClean(RegionId region, Generation generation, Deadline deadline) {
    const auto moved = moveRegion(region, deadline, [&](const auto& now, ClientId client, bool) {
        return cleanRegion(region, now, generation, client);
    });
    if (!moved) return tl::unexpected<Error>(moved.error());
    return {};
}

Result<std::vector<Region>> SqliteDirectory::regions(FileNumber file, Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<Region> found;
    {
        auto rows = (*turn)->select(
            "SELECT number, record, used FROM region WHERE file = ? ORDER BY number",
            uint64_t{file});
        while (rows.next()) {
            const RegionId id{file, static_cast<RegionIndex>(rows.number(0))};
            const auto record = decodeRegion(rows.bytes(1));
            if (!record) return tl::unexpected<Error>(damagedRecord("region " + toString(id)));
            found.push_back(record->with(id, rows.number(2)));
        }
    }
    return finish(&*turn, std::move(found));
}

Result<> SqliteDirectory::touch(const std::vector<RegionId>& regions, Deadline deadline) {
    auto turn = begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const uint64_t sequence = nextSequence(turn->get());
    for (const RegionId& region : regions) {
        (*turn)->run("UPDATE region SET used = ? WHERE file = ? AND number = ?", sequence,
                     uint64_t{region.file}, uint64_t{region.index});
    }
    return finish(&*turn);
}

// --- Objects

Result<std::vector<ChangeOutcome>> SqliteDirectory::commit(const std::vector<Change>& changes,
                                                           Deadline deadline) {
    if (auto checked = checkChanges(changes); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    if (auto client = self(); !client) return tl::unexpected<Error>(client.error());
    return group_.commit(changes, deadline);
}

Result<ChangeOutcomes> SqliteDirectory::runGroup(const std::vector<const Change*>& changes,
                                                 Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    auto turn = begin(Kind::kWrite, deadline);
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
        if (is_new) at->second = isGone(findFile(run, file));
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
        const auto other = decode(change.key, found);
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
                   record->owner == *client && record->generation == extent.generation;
        });
        if (ours) outcomes[i] = set(*changes[i], encodeEntry(changes[i]->key, changes[i]->entry));
    }
    const size_t done =
        static_cast<size_t>(std::count(outcomes.begin(), outcomes.end(), ChangeOutcome::kDone));
    auto result = finish(&*turn, std::move(outcomes));
    if (result) {
        counters_.add(&DirectoryStatistics::changed, done);
        counters_.add(&DirectoryStatistics::refused, changes.size() - done);
    }
    return result;
}

std::optional<ObjectEntry> SqliteDirectory::decode(const std::string& key, std::string_view bytes) {
    auto entry = decodeEntry(key, bytes);
    if (entry) return std::move(*entry);
    counters_.add(&DirectoryStatistics::damaged);
    LOG_EVERY_N(ERROR, 100) << entry.error().message;
    return std::nullopt;
}

Result<> SqliteDirectory::lookAt(const std::vector<std::string>& keys, size_t begin_at,
                                 size_t end_at,
                                 const std::function<void(size_t, std::string_view)>& found,
                                 Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<std::pair<std::string_view, size_t>> order;
    order.reserve(end_at - begin_at);
    for (size_t i = begin_at; i < end_at; ++i) order.emplace_back(keys[i], i);
    // Neighbours lie on the same pages.
    std::sort(order.begin(), order.end());
    for (const auto& [key, i] : order) {
        auto rows = (*turn)->select("SELECT entry FROM object WHERE key = ?", key);
        if (rows.next()) found(i, rows.bytes(0));
        if (!(*turn)->ok()) break;
    }
    return finish(&*turn);
}

Result<std::vector<std::optional<ObjectEntry>>> SqliteDirectory::lookup(
    const std::vector<std::string>& keys, Deadline deadline) {
    std::vector<std::optional<ObjectEntry>> entries(keys.size());
    uint64_t found = 0;
    const auto done = lookAt(
        keys, 0, keys.size(),
        [&](size_t at, std::string_view bytes) {
            entries[at] = decode(keys[at], bytes);
            found += entries[at] ? 1 : 0;
        },
        deadline);
    if (!done) return tl::unexpected<Error>(done.error());
    counters_.add(&DirectoryStatistics::looked_up, keys.size());
    counters_.add(&DirectoryStatistics::found, found);
    return entries;
}

Result<std::vector<bool>> SqliteDirectory::exists(const std::vector<std::string>& keys,
                                                  const ExtentFilter& filter, Deadline deadline) {
    // Not a vector of bool: several threads write into it.
    std::vector<char> there(keys.size(), 0);
    const auto look = [&](size_t begin_at, size_t end_at) {
        return lookAt(
            keys, begin_at, end_at,
            [&](size_t at, std::string_view bytes) {
                there[at] = filter == nullptr || passes(decode(keys[at], bytes), filter) ? 1 : 0;
            },
            deadline);
    };
    const size_t threads =
        std::clamp<size_t>(keys.size() / kKeysOfAThread, 1,
                           std::min<size_t>(kReaders, std::thread::hardware_concurrency()));
    const size_t share = (keys.size() + threads - 1) / threads;
    std::vector<Result<>> results(threads);
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < threads; ++i) {
        helpers.emplace_back([&, i] {
            results[i] =
                look(std::min(i * share, keys.size()), std::min((i + 1) * share, keys.size()));
        });
    }
    results[0] = look(0, std::min(share, keys.size()));
    for (std::thread& helper : helpers) helper.join();
    for (const auto& result : results) {
        if (!result) return tl::unexpected<Error>(result.error());
    }
    counters_.add(&DirectoryStatistics::looked_up, keys.size());
    counters_.add(&DirectoryStatistics::found,
                  static_cast<uint64_t>(std::count(there.begin(), there.end(), 1)));
    return std::vector<bool>(there.begin(), there.end());
}

Result<std::vector<Edit>> SqliteDirectory::edit(const std::vector<std::string>& keys,
                                                const Editor& editor, Deadline deadline) {
    std::vector<Edit> edits(keys.size(), Edit::kKeep);
    for (size_t begin_at = 0; begin_at < keys.size(); begin_at += kBatch) {
        auto turn = begin(Kind::kWrite, deadline);
        if (!turn) return tl::unexpected<Error>(turn.error());
        uint64_t removed = 0;
        for (size_t i = begin_at; i < std::min(begin_at + kBatch, keys.size()); ++i) {
            const std::string_view key = keys[i];
            std::optional<ObjectEntry> entry;
            {
                auto rows = (*turn)->select("SELECT entry FROM object WHERE key = ?", key);
                if (!rows.next()) continue;
                entry = decode(keys[i], rows.bytes(0));
            }
            // Of one that cannot be read nobody can tell what it says; it is of no use.
            edits[i] = entry ? editor(key, &*entry) : Edit::kRemove;
            if (edits[i] == Edit::kRemove) {
                (*turn)->run("DELETE FROM object WHERE key = ?", key);
                ++removed;
            } else if (edits[i] == Edit::kChange) {
                (*turn)->run("UPDATE object SET entry = ? WHERE key = ?",
                             std::string_view(encodeEntry(key, *entry)), key);
            }
        }
        if (auto done = finish(&*turn); !done) return tl::unexpected<Error>(done.error());
        counters_.add(&DirectoryStatistics::removed, removed);
    }
    return edits;
}

Result<std::vector<bool>> SqliteDirectory::remove(const std::vector<std::string>& keys,
                                                  Deadline deadline) {
    const auto edits = edit(
        keys, [](std::string_view, ObjectEntry*) { return Edit::kRemove; }, deadline);
    if (!edits) return tl::unexpected<Error>(edits.error());
    std::vector<bool> removed(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) removed[i] = (*edits)[i] == Edit::kRemove;
    return removed;
}

Result<Page> SqliteDirectory::list(const std::string& prefix, const std::string& from, size_t limit,
                                   Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
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
            auto entry = decode(key, rows.bytes(1));
            if (entry) page.objects.emplace_back(std::move(key), std::move(*entry));
        }
    }
    return finish(&*turn, std::move(page));
}

// --- What is going on

// Looks often: SQLite wakes nobody up. A look costs no transaction while nothing has changed.
class SqliteDirectory::Watch : public DirectoryWatch {
 public:
    explicit Watch(SqliteDirectory* directory) : directory_(directory) {}

    Result<Changes> next(Deadline deadline) override {
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

 private:
    Result<Changes> look(Deadline deadline) {
        auto turn = directory_->begin(
            Kind::kRead, std::max(deadline, steady_clock::now() + std::chrono::seconds(1)));
        if (!turn) return tl::unexpected<Error>(turn.error());
        Changes changes;
        changes.complete = !started_;
        std::map<FileNumber, FileInfo> files;
        for (FileInfo& info : directory_->readFiles(turn->get())) {
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
        auto done = directory_->finish(&*turn, std::move(changes));
        if (done) {
            started_ = true;
            files_ = std::move(files);
            sequence_ = sequence;
        }
        return done;
    }

    SqliteDirectory* const directory_;
    bool started_ = false;
    std::map<FileNumber, FileInfo> files_;
    uint64_t sequence_ = 0;
};

Result<std::unique_ptr<DirectoryWatch>> SqliteDirectory::watch(Deadline) {
    return std::make_unique<Watch>(this);
}

Result<> SqliteDirectory::ping(Deadline deadline) {
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    {
        auto rows = (*turn)->select("SELECT sequence FROM store");
        rows.next();
    }
    return finish(&*turn);
}

Result<std::vector<Finding>> SqliteDirectory::check(Deadline deadline) {
    std::vector<Finding> findings;
    auto turn = begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    {
        auto rows = (*turn)->select("PRAGMA quick_check(1)");
        if (rows.next() && rows.bytes(0) != "ok") {
            findings.push_back({Finding::Severity::kError,
                                "the database '" + path_ +
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
    if (isReplaced()) {
        findings.push_back({Finding::Severity::kError, replaced(path_)});
    }
    return finish(&*turn, std::move(findings));
}

DirectoryStatistics SqliteDirectory::statistics() const {
    DirectoryStatistics numbers = counters_.read();
    const auto count = group_.count();
    numbers.groups = count.groups;
    numbers.grouped = count.calls;
    return numbers;
}

}  // namespace mooncake::store
