// SPDX-License-Identifier: Apache-2.0
#include "client_core.h"

#include <glog/logging.h>

#include <algorithm>
#include <exception>

#include "metrics_text.h"
#include "node_name.h"
#include "report.h"
#include "scratch_file.h"
#include "thread.h"

namespace mooncake::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How often the housekeeping threads look, and how long one look may take.
constexpr milliseconds kHousePeriod(200);
constexpr milliseconds kReservePeriod(250);
// The same after a look that had to make some clean: other nodes' writers may go on.
constexpr milliseconds kBusyPeriod(20);
constexpr milliseconds kOrphanPeriod(2000);
constexpr milliseconds kWatchPeriod(200);
// How often the directory is asked for all files, whatever its watch has told: one that was set
// back to a state from before may have changed without a word.
constexpr milliseconds kFilesPeriod(30000);
constexpr milliseconds kLookLimit(20000);
// A region that nobody has written to for so long is sealed, so that it can be evicted.
constexpr milliseconds kIdle(60000);
// For the end: what cannot be told by then is found out by the others when the lease has ended.
constexpr milliseconds kCloseLimit(10000);

Deadline in(milliseconds time) {
    return steady_clock::now() + time;
}

// With P2PHANDSHAKE the port may have been left to the engine.
std::string nameOf(const ClientOptions& options, TransferEngine& engine) {
    const bool is_p2p = options.metadata_server == P2PHANDSHAKE;
    const std::string published = is_p2p ? engine.getLocalIpAndPort() : "";
    return published.empty() ? options.local_hostname : published;
}

Result<std::shared_ptr<TransferEngine>> makeEngine(const ClientOptions& options) {
    auto engine = std::make_shared<TransferEngine>();
    if (engine->init(options.metadata_server, options.local_hostname) != 0) {
        return failed(Failure::kInternal, "the engine does not join '" + options.metadata_server +
                                              "' as '" + options.local_hostname +
                                              "'; the log above says why");
    }
    std::string address = options.protocol_args;
    void* args[] = {address.data()};
    if (engine->installTransport(options.protocol, address.empty() ? nullptr : args) == nullptr) {
        return failed(Failure::kInternal, "the transport '" + options.protocol + "' with '" +
                                              options.protocol_args +
                                              "' is not installed; the log above says why");
    }
    return engine;
}

}  // namespace

Result<std::shared_ptr<ClientCore>> ClientCore::start(const ClientOptions& options) {
    if (options.lease < milliseconds(2000)) {
        return failed(Failure::kInvalid, "a lease of " + std::to_string(options.lease.count()) +
                                             " ms is too short; it takes 2000 or more");
    }
    auto statistics = statisticsOptions();
    if (!statistics) return tl::unexpected(statistics.error());
    DirectoryOptions directory_options;
    directory_options.lease = options.lease;
    auto directory = Directory::open(options.directory, directory_options, in(options.timeout));
    if (!directory) return tl::unexpected(directory.error());
    std::shared_ptr<TransferEngine> engine = options.engine;
    if (!engine) {
        auto made = makeEngine(options);
        if (!made) return tl::unexpected(made.error());
        engine = std::move(*made);
    }
    std::shared_ptr<ClientCore> core(
        new ClientCore(options, std::move(*statistics), std::move(engine), std::move(*directory)));
    const bool writes_statistics = core->statistics_file_ != nullptr;
    if (writes_statistics) {
        auto written = core->statistics_file_->write("");
        if (!written) return tl::unexpected(written.error());
    }
    if (auto joined = core->ensureMember(core->deadline()); !joined) {
        return tl::unexpected(joined.error());
    }
    using Task = void (ClientCore::*)();
    std::vector<std::pair<const char*, Task>> tasks = {
        {"store-watch", &ClientCore::watchFiles},
        {"store-house", &ClientCore::keepHouse},
        {"store-reserve", &ClientCore::makeReserves}};
    if (writes_statistics) tasks.emplace_back("store-stats", &ClientCore::writeStatistics);
    for (const auto& [name, task] : tasks) {
        auto started = startThread(name, [core = core.get(), task] { (core->*task)(); });
        if (!started) return tl::unexpected(started.error());
        core->threads_.push_back(std::move(*started));
    }
    return core;
}

ClientCore::ClientCore(const ClientOptions& options, StatisticsOptions statistics,
                       std::shared_ptr<TransferEngine> engine, std::unique_ptr<Directory> directory)
    : options_(options),
      statistics_options_(std::move(statistics)),
      statistics_file_(StatisticsFile::claim(statistics_options_.file)),
      node_(options.node.empty() ? nodeOf(nameOf(options, *engine)) : options.node),
      engine_(std::move(engine)),
      owns_engine_(!options.engine),
      directory_(std::move(directory)),
      ways_(engine_),
      files_(*directory_, ways_, node_),
      data_(*engine_,
            {options.staging_bytes, DataOptions().window_bytes, DataOptions().window_requests}),
      cache_(options.cached_entries),
      open_(*directory_, counters_, [this] { attend(); }),
      mover_(*directory_, files_, data_, open_, cache_, counters_),
      evictor_(*directory_, *engine_, files_, cache_, mover_, counters_, options.io_bound),
      mounted_(*directory_, *engine_, files_, open_, node_, options.lease),
      parts_{*directory_, *engine_,
             files_,      data_,
             cache_,      touched_,
             open_,       evictor_,
             counters_,   [this](Deadline deadline) {
                 return ensureMember(deadline); }} {}

ClientCore::~ClientCore() {
    close();
}

void ClientCore::close() {
    const std::lock_guard closing(closing_);
    if (is_closed_) return;
    is_closed_ = true;
    gate_.close();
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    const Deadline limit = in(kCloseLimit);
    mounted_.unmountAll(limit);
    open_.sealAll(0, limit);
    if (const auto touched = touched_.take(); !touched.empty()) {
        (void)directory_->touch(touched, limit);
    }
    (void)directory_->leave(limit);
    if (statistics_file_) {
        (void)withoutThrowing([&] { return statistics_file_->write(metricsText()); });
        statistics_file_.reset();
    }
    cache_.clear();
    if (owns_engine_) (void)engine_->freeEngine();
}

// --- Membership

Result<> ClientCore::ensureMember(Deadline deadline) {
    if (directory_->lease().holds() && is_announced_) return {};
    const auto joining = joining_.lock(deadline);
    if (!joining) {
        return failed(Failure::kTimeout,
                      "this client joins the directory anew, and that is not done in time; see "
                      "whether the directory answers");
    }
    const Lease lease = directory_->lease();
    if (lease.client != 0 && !lease.holds()) {
        // Nobody has said that it has ended: it may still be renewed.
        return failed(Failure::kUnavailable,
                      "the directory has not confirmed the lease of client " +
                          std::to_string(lease.client) + "; see whether it answers");
    }
    if (lease.client == 0) {
        is_announced_ = false;
        const auto joined = directory_->join(node_, deadline);
        if (!joined) return tl::unexpected(joined.error());
    }
    if (!is_announced_) {
        if (auto announced = mounted_.announce(deadline); !announced) return announced;
        if (auto known = files_.refresh(deadline); !known) return known;
        is_announced_ = true;
    }
    return {};
}

// --- Objects

void ClientCore::get(std::span<GetCall::Item> items) {
    const auto begin = steady_clock::now();
    GetCall(parts_, begin + options_.timeout).run(items);
    get_times_.add(steady_clock::now() - begin);
}

void ClientCore::put(std::span<PutCall::Item> items, const ReplicateConfig& config, bool replaces) {
    const auto begin = steady_clock::now();
    PutCall(parts_, config, replaces, begin + options_.timeout).run(items);
    put_times_.add(steady_clock::now() - begin);
}

std::vector<mooncake::Replica::Descriptor> ClientCore::describe(const ObjectEntry& entry) const {
    const auto files = files_.files();
    std::vector<mooncake::Replica::Descriptor> descriptors;
    for (const Replica& replica : entry.replicas) {
        mooncake::Replica::Descriptor& descriptor = descriptors.emplace_back();
        descriptor.status = ReplicaStatus::COMPLETE;
        for (const Extent& extent : replica) {
            descriptor.extents.push_back({extent.region.file, extent.region.index,
                                          extent.generation, extent.offset, extent.length});
            if (!isReadable(*files, extent)) descriptor.status = ReplicaStatus::FAILED;
        }
        const auto file = files->find(replica.front().region.file);
        if (file != files->end() && file->second.info.mount) {
            descriptor.segment = file->second.info.mount->segment;
        }
    }
    return descriptors;
}

std::vector<tl::expected<QueryResult, ErrorCode>> ClientCore::query(
    const std::vector<std::string>& keys) {
    std::vector<tl::expected<QueryResult, ErrorCode>> results;
    const uint64_t mark = cache_.mark();
    auto entries = directory_->lookup(keys, deadline());
    if (!entries) {
        const auto code = report(entries.error());
        for (size_t i = 0; i < keys.size(); ++i) results.emplace_back(code);
        return results;
    }
    for (size_t i = 0; i < keys.size(); ++i) {
        auto& entry = (*entries)[i];
        if (!entry) {
            results.emplace_back(tl::unexpected(ErrorCode::OBJECT_NOT_FOUND));
            continue;
        }
        auto descriptors = describe(*entry);
        const uint64_t size = entry->size;
        auto shared = std::make_shared<const ObjectEntry>(std::move(*entry));
        cache_.putFound(keys[i], shared, mark);
        results.emplace_back(QueryResult(std::move(descriptors), size, std::move(shared)));
    }
    return results;
}

Result<std::unordered_map<std::string, std::vector<mooncake::Replica::Descriptor>>>
ClientCore::queryMatching(const KeyPattern& pattern) {
    constexpr size_t kPage = 1000;
    std::unordered_map<std::string, std::vector<mooncake::Replica::Descriptor>> found;
    const Deadline limit = deadline();
    std::string from;
    do {
        auto page = directory_->list("", from, kPage, limit);
        if (!page) return tl::unexpected(page.error());
        for (const auto& [key, entry] : page->objects) {
            if (pattern.isIn(key)) found.emplace(key, describe(entry));
        }
        from = std::move(page->next);
    } while (!from.empty());
    return found;
}

// A file that is not known yet is a new one.
bool ClientCore::isReadable(const FileMap& files, const Extent& extent) const {
    const auto file = files.find(extent.region.file);
    return file == files.end() || file->second.isServed();
}

Result<std::vector<bool>> ClientCore::exists(const std::vector<std::string>& keys) {
    if (files_.allServed()) return directory_->exists(keys, nullptr, deadline());
    const auto files = files_.files();
    return directory_->exists(
        keys, [&](const Extent& extent) { return isReadable(*files, extent); }, deadline());
}

// What is removed is forgotten, also after an error: it may have happened.

Result<std::vector<bool>> ClientCore::remove(const std::vector<std::string>& keys) {
    auto removed = withoutThrowing([&] { return directory_->remove(keys, deadline()); });
    for (const std::string& key : keys) cache_.drop(key);
    return removed;
}

Result<uint64_t> ClientCore::removeMatching(const KeyPattern& pattern) {
    auto removed = withoutThrowing([&] {
        return directory_->removeMatching(
            "", [&](std::string_view key, const ObjectEntry&) { return pattern.isIn(key); },
            deadline());
    });
    cache_.clear();
    return removed;
}

Result<uint64_t> ClientCore::removeAll() {
    auto removed = withoutThrowing([&] {
        return directory_->removeMatching(
            "", [](std::string_view, const ObjectEntry&) { return true; }, deadline());
    });
    cache_.clear();
    return removed;
}

// --- Space

Result<> ClientCore::mount(const std::string& path, bool overwrite) {
    const Deadline limit = deadline();
    if (auto member = ensureMember(limit); !member) return member;
    auto mounted = mounted_.mount(path, overwrite, limit);
    if (mounted) attend();
    return mounted;
}

Result<std::string> ClientCore::mountScratch(const std::string& folder, uint64_t size) {
    const Deadline limit = deadline();
    if (auto member = ensureMember(limit); !member) return tl::unexpected(member.error());
    auto scratch = makeScratchFile(folder, size);
    if (!scratch) return tl::unexpected(scratch.error());
    std::string path = scratch->path;
    if (auto mounted = mounted_.mountScratch(std::move(*scratch), limit); !mounted) {
        return tl::unexpected(mounted.error());
    }
    attend();
    return path;
}

Result<> ClientCore::unmount(const std::string& path) {
    return mounted_.unmount(path, deadline());
}

// --- What is going on

Result<> ClientCore::health() {
    if (auto answered = directory_->ping(deadline()); !answered) return answered;
    return ensureMember(deadline());
}

ClientStatistics ClientCore::statistics() const {
    ClientStatistics numbers = counters_.read();
    const DataCounts data = data_.counts();
    const DirectoryStatistics directory = directory_->statistics();
    numbers.staged_bytes = data.staged_bytes;
    numbers.direct_bytes = data.direct_bytes;
    numbers.engine_requests = data.requests;
    numbers.leases_lost = directory.leases_lost;
    numbers.directory_round_trips = directory.round_trips;
    return numbers;
}

std::string ClientCore::metricsText() const {
    std::string text = mooncake::store::metricsText(statistics());
    appendDurations(&text, "mooncake_store_get_seconds", "Durations of calls that get, seconds.",
                    get_times_);
    appendDurations(&text, "mooncake_store_put_seconds", "Durations of calls that put, seconds.",
                    put_times_);
    appendFiles(&text, *files_.files());
    return withProcess(text, statistics_options_.process);
}

std::string ClientCore::summary() const {
    return summaryText(statistics(), *files_.files());
}

// --- Threads

void ClientCore::attend() {
    {
        const std::lock_guard lock(mutex_);
        ++attentions_;
    }
    wake_.notify_all();
}

// Calls step() until the end, after the pause that it gives.
// @param attends  whether a call of attend() ends the pause
template <class Step>
void ClientCore::repeat(const char* what, bool attends, const Step& step) {
    uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
        seen = attentions_;
        lock.unlock();
        milliseconds pause = kHousePeriod;
        try {
            pause = step();
        } catch (const std::exception& error) {
            LOG_EVERY_T(ERROR, 1) << "store: " << what << ": " << error.what();
        }
        lock.lock();
        wake_.wait_for(lock, pause,
                       [&] { return is_stopping_ || (attends && attentions_ != seen); });
    }
}

void ClientCore::watchFiles() {
    std::unique_ptr<DirectoryWatch> watch;
    repeat("watching the files", false, [&] {
        const auto report_error = [&](const Error& error) {
            LOG_EVERY_T(WARNING, 5) << "store: watching the files: " << error.message;
            return kWatchPeriod;
        };
        if (!watch) {
            auto begun = directory_->watch(in(kWatchPeriod));
            if (!begun) return report_error(begun.error());
            watch = std::move(*begun);
        }
        // What is thrown ends it: what it has told may not have been taken, and it tells it once.
        auto current = std::move(watch);
        const auto changes = current->next(in(kWatchPeriod));
        if (changes) files_.apply(*changes);
        watch = std::move(current);
        if (!changes) return report_error(changes.error());
        return milliseconds(1);
    });
}

void ClientCore::keepHouse() {
    auto touched_at = steady_clock::now();
    auto looked_at = steady_clock::now();
    repeat("keeping house", true, [&] {
        const Deadline limit = in(kLookLimit);
        if (auto member = ensureMember(limit); !member) {
            LOG_EVERY_T(WARNING, 5) << "store: " << member.error().message;
            return kHousePeriod;
        }
        open_.takeAhead(limit);
        if (mounted_.isInDoubt() || steady_clock::now() >= looked_at + kFilesPeriod) {
            looked_at = steady_clock::now();
            if (auto done = mounted_.reconcile(limit); !done) {
                LOG_EVERY_T(WARNING, 5) << "store: " << done.error().message;
            }
        }
        open_.retireIdle(kIdle);
        open_.sealRetired(limit);
        open_.sealUnknown(limit);
        if (steady_clock::now() < touched_at + options_.touch_interval) return kHousePeriod;
        touched_at = steady_clock::now();
        const auto touched = touched_.take();
        if (!touched.empty()) (void)directory_->touch(touched, limit);
        return kHousePeriod;
    });
}

void ClientCore::makeReserves() {
    auto looked_at = steady_clock::time_point();
    repeat("making room", true, [&] {
        const Deadline limit = in(kLookLimit);
        if (!directory_->lease().holds() || !files_.refreshClean(limit)) return kReservePeriod;
        const bool is_time = steady_clock::now() >= looked_at + kOrphanPeriod;
        if (is_time) looked_at = steady_clock::now();
        const auto files = files_.files();
        milliseconds pause = kReservePeriod;
        for (const FileNumber number : mounted_.numbers()) {
            const auto file = files->find(number);
            if (file == files->end()) continue;
            const uint32_t reserve = cleanReserve(file->second.geometry.regions);
            const bool has_few = file->second.load->clean.load() < reserve;
            if (!is_time && !has_few) continue;
            if (auto done = evictor_.lookAfter(file->second, limit); !done) {
                LOG_EVERY_T(WARNING, 5)
                    << "store: making room in file " << number << ": " << done.error().message;
            } else if (has_few && file->second.load->clean.load() >= reserve) {
                pause = kBusyPeriod;
            }
        }
        return pause;
    });
}

void ClientCore::writeStatistics() {
    repeat("writing statistics", false, [&] {
        if (auto written = statistics_file_->write(metricsText()); !written) {
            LOG_EVERY_T(ERROR, 60) << "store: " << written.error().message;
        }
        return milliseconds(statistics_options_.interval);
    });
}

}  // namespace mooncake::store
