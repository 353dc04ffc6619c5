// SPDX-License-Identifier: Apache-2.0
#include "backed_directory.h"

#include <algorithm>

#include "random_id.h"
#include "refusals.h"

namespace mooncake::store {

BackedDirectory::BackedDirectory(std::unique_ptr<Counters> counters,
                                 std::unique_ptr<DirectoryBackend> backend,
                                 const DirectoryOptions& options)
    : counters_(std::move(counters)),
      reader_(counters_.get()),
      backend_(std::move(backend)),
      group_(
          backend_->entries().groupLimit(),
          [this](const auto& changes, Deadline deadline) { return runGroup(changes, deadline); }),
      keeper_(options.lease, counters_.get(), [this](ClientId client, Deadline deadline) {
          return backend_->clients().renew(client, deadline);
      }) {}

BackedDirectory::~BackedDirectory() {
    (void)leave(std::chrono::steady_clock::now() + std::chrono::seconds(1));
}

Result<ClientId> BackedDirectory::self() const {
    const ClientId client = keeper_.lease().client;
    if (client != 0) return client;
    return notJoined();
}

// --- Clients

Result<ClientId> BackedDirectory::join(const std::string& node, Deadline deadline) {
    if (auto left = leave(deadline); !left) return tl::unexpected<Error>(left.error());
    const auto joined = backend_->clients().add(node, deadline);
    if (!joined) return tl::unexpected<Error>(joined.error());
    if (auto kept = keeper_.start(joined->client, joined->end); !kept) {
        (void)backend_->clients().remove(joined->client, deadline);
        return tl::unexpected<Error>(kept.error());
    }
    return joined->client;
}

Result<> BackedDirectory::leave(Deadline deadline) {
    const ClientId client = keeper_.stop();
    if (client == 0) return {};
    return backend_->clients().remove(client, deadline);
}

Result<std::vector<ClientInfo>> BackedDirectory::clients(Deadline deadline) {
    return backend_->clients().list(deadline);
}

// --- Files

Result<FileInfo> BackedDirectory::addFile(const FileDescription& description, Deadline deadline) {
    if (auto checked = checkDescription(description); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    return backend_->files().add(description, deadline);
}

Result<> BackedDirectory::mountFile(FileNumber file, const Mount& mount, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    Mount own = mount;
    own.client = *client;
    return backend_->files().mount(file, own, deadline);
}

Result<> BackedDirectory::unmountFile(FileNumber file, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    return backend_->files().unmount(*client, file, deadline);
}

Result<> BackedDirectory::giveUpFile(FileNumber file, Deadline deadline) {
    return backend_->files().giveUp(file, deadline);
}

Result<std::vector<FileInfo>> BackedDirectory::files(Deadline deadline) {
    return backend_->files().list(deadline);
}

Result<std::vector<FreeRegions>> BackedDirectory::freeRegions(Deadline deadline) {
    return backend_->files().freeRegions(deadline);
}

// --- Regions

Result<Region> BackedDirectory::takeRegion(FileNumber file, Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    return backend_->regions().take(*client, file, deadline);
}

template <class Rule>
Result<Region> BackedDirectory::moveRegion(RegionId region, Deadline deadline, const Rule& rule) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    return backend_->regions().move(
        *client, region,
        [&](const std::optional<RegionRecord>& now, bool owner_lives) {
            return rule(now, *client, owner_lives);
        },
        deadline);
}

Result<Region> BackedDirectory::adoptRegion(RegionId region, Generation generation,
                                            Deadline deadline) {
    const uint64_t token = randomId();
    return moveRegion(region, deadline, [&](const auto& now, ClientId client, bool) {
        return adoptedRegion(region, now, generation, client, token);
    });
}

Result<> BackedDirectory::sealRegion(RegionId region, Generation generation, RegionUse use,
                                     Deadline deadline) {
    const auto moved =
        moveRegion(region, deadline, [&](const auto& now, ClientId client, bool owner_lives) {
            return sealedRegion(region, now, generation, use, client, owner_lives);
        });
    if (!moved) return tl::unexpected<Error>(moved.error());
    return {};
}

Result<Region> BackedDirectory::beginClean(RegionId region, Generation generation,
                                           Deadline deadline) {
    return moveRegion(region, deadline, [&](const auto& now, ClientId client, bool owner_lives) {
        return cleaningRegion(region, now, generation, client, owner_lives);
    });
}

Result<> BackedDirectory::endClean(RegionId region, Generation generation, Deadline deadline) {
    const auto moved = moveRegion(region, deadline, [&](const auto& now, ClientId client, bool) {
        return cleanRegion(region, now, generation, client);
    });
    if (!moved) return tl::unexpected<Error>(moved.error());
    return {};
}

Result<std::vector<Region>> BackedDirectory::regions(FileNumber file, Deadline deadline) {
    return backend_->regions().list(file, deadline);
}

Result<> BackedDirectory::touch(const std::vector<RegionId>& regions, Deadline deadline) {
    return backend_->regions().touch(regions, deadline);
}

// --- Objects

Result<std::vector<ChangeOutcome>> BackedDirectory::commit(const std::vector<Change>& changes,
                                                           Deadline deadline) {
    if (auto checked = checkChanges(changes); !checked) {
        return tl::unexpected<Error>(checked.error());
    }
    if (auto client = self(); !client) return tl::unexpected<Error>(client.error());
    return group_.commit(changes, deadline);
}

Result<ChangeOutcomes> BackedDirectory::runGroup(const std::vector<const Change*>& changes,
                                                 Deadline deadline) {
    const auto client = self();
    if (!client) return tl::unexpected<Error>(client.error());
    auto outcomes = backend_->entries().set(*client, changes, deadline);
    if (!outcomes) return outcomes;
    const auto done =
        static_cast<size_t>(std::count(outcomes->begin(), outcomes->end(), ChangeOutcome::kDone));
    counters_->add(&DirectoryStatistics::changed, done);
    counters_->add(&DirectoryStatistics::refused, changes.size() - done);
    return outcomes;
}

void BackedDirectory::countLooks(size_t looked_up, uint64_t found) {
    counters_->add(&DirectoryStatistics::looked_up, looked_up);
    counters_->add(&DirectoryStatistics::found, found);
}

Result<std::vector<std::optional<ObjectEntry>>> BackedDirectory::lookup(
    const std::vector<std::string>& keys, Deadline deadline) {
    std::vector<std::optional<ObjectEntry>> entries(keys.size());
    const auto read = backend_->entries().read(
        keys, EntryRecords::Need::kEntry,
        [&](size_t at, std::string_view bytes) { entries[at] = reader_.decode(keys[at], bytes); },
        deadline);
    if (!read) return tl::unexpected<Error>(read.error());
    countLooks(keys.size(), static_cast<uint64_t>(
                                std::count_if(entries.begin(), entries.end(),
                                              [](const auto& one) { return one.has_value(); })));
    return entries;
}

Result<std::vector<bool>> BackedDirectory::exists(const std::vector<std::string>& keys,
                                                  const ExtentFilter& filter, Deadline deadline) {
    // Not a vector of bool: several threads may write into it.
    std::vector<char> there(keys.size(), 0);
    const auto read = backend_->entries().read(
        keys, filter ? EntryRecords::Need::kEntry : EntryRecords::Need::kExistence,
        [&](size_t at, std::string_view bytes) {
            there[at] = !filter || passes(reader_.decode(keys[at], bytes), filter) ? 1 : 0;
        },
        deadline);
    if (!read) return tl::unexpected<Error>(read.error());
    countLooks(keys.size(), static_cast<uint64_t>(std::count(there.begin(), there.end(), 1)));
    return std::vector<bool>(there.begin(), there.end());
}

Result<std::vector<Edit>> BackedDirectory::edit(const std::vector<std::string>& keys,
                                                const Editor& editor, Deadline deadline) {
    auto edits = backend_->entries().edit(keys, editor, deadline);
    if (edits) {
        counters_->add(
            &DirectoryStatistics::removed,
            static_cast<uint64_t>(std::count(edits->begin(), edits->end(), Edit::kRemove)));
    }
    return edits;
}

Result<std::vector<bool>> BackedDirectory::remove(const std::vector<std::string>& keys,
                                                  Deadline deadline) {
    auto removed = backend_->entries().remove(keys, deadline);
    if (removed) {
        counters_->add(&DirectoryStatistics::removed,
                       static_cast<uint64_t>(std::count(removed->begin(), removed->end(), true)));
    }
    return removed;
}

Result<Page> BackedDirectory::list(const std::string& prefix, const std::string& from, size_t limit,
                                   Deadline deadline) {
    return backend_->entries().list(prefix, from, limit, deadline);
}

// --- What is going on

Result<std::unique_ptr<DirectoryWatch>> BackedDirectory::watch(Deadline) {
    return backend_->watch();
}

Result<> BackedDirectory::ping(Deadline deadline) {
    return backend_->ping(deadline);
}

Result<std::vector<Finding>> BackedDirectory::check(Deadline deadline) {
    return backend_->check(deadline);
}

DirectoryStatistics BackedDirectory::statistics() const {
    DirectoryStatistics numbers = counters_->read();
    const auto count = group_.count();
    numbers.groups = count.groups;
    numbers.grouped = count.calls;
    return numbers;
}

}  // namespace mooncake::store
