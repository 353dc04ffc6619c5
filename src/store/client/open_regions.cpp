// SPDX-License-Identifier: Apache-2.0
#include "open_regions.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace mooncake::store {

using std::chrono::steady_clock;

// Whether it was taken under the lease that this client has now.
bool OpenRegions::owns(const OpenRegion& region) const {
    return region.region.owner == directory_.lease().client;
}

// Once for each region: at once where the one before was filled, since a batch may fill the next
// one as well. Not in a file of few regions, of which others may need the last ones.
bool OpenRegions::needsAnother(OpenRegion& region, const KnownFile& file) {
    if (region.has_asked) return false;
    if (!region.follows_another && region.fill->room() > file.geometry.region_bytes / 2) {
        return false;
    }
    region.has_asked = true;
    return file.geometry.regions >= kFewestRegions && file.load->clean.load() > 1;
}

Result<OpenRegions::Use> OpenRegions::use(const KnownFile& file, uint8_t pins, Deadline deadline) {
    // Whatever takes memory comes before a region is taken: without it nobody would ever seal that.
    std::list<RegionPtr> fresh;
    bool attends = false;
    Lock lock(mutex_);
    Slot& slot = slots_[{file.info.number, pins}];
    for (;;) {
        if (slot.open && !owns(*slot.open)) retireLocked(slot.open);
        if (slot.open) {
            attends = needsAnother(*slot.open, file);
            if (attends) slot.wanted = file;
            break;
        }
        if (slot.next) {
            slot.open = std::move(slot.next);
            slot.open->follows_another = true;
        } else if (slot.is_taking) {
            if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
                return failed(Failure::kTimeout,
                              "no region could be taken in time; see whether the "
                              "directory answers");
            }
        } else if (fresh.empty()) {
            fresh.push_back(std::make_shared<OpenRegion>(file));
        } else {
            auto taken = take(slot, file, &fresh, lock, deadline);
            if (!taken) return tl::unexpected(taken.error());
            slot.open = std::move(*taken);
            attends = true;
            break;
        }
    }
    const RegionPtr region = slot.open;
    ++region->users;
    region->last_used = steady_clock::now();
    lock.unlock();
    if (attends) attend_();
    return Use(this, region);
}

// Without the lock meanwhile.
Result<OpenRegions::RegionPtr> OpenRegions::take(Slot& slot, const KnownFile& file,
                                                 std::list<RegionPtr>* fresh, Lock& lock,
                                                 Deadline deadline) {
    slot.is_taking = true;
    lock.unlock();
    const auto taken =
        withoutThrowing([&] { return directory_.takeRegion(file.info.number, deadline); });
    lock.lock();
    slot.is_taking = false;
    changed_.notify_all();
    if (!taken) {
        const Failure failure = taken.error().failure;
        slot.is_in_doubt = slot.is_in_doubt || failure == Failure::kTimeout ||
                           failure == Failure::kUnavailable || failure == Failure::kInternal;
        return tl::unexpected(taken.error());
    }
    counters_.add(&ClientStatistics::regions_taken);
    if (auto clean = file.load->clean.load(); clean != 0) file.load->clean = clean - 1;
    RegionPtr region = fresh->front();
    region->region = *taken;
    region->last_used = steady_clock::now();
    regions_.splice(regions_.end(), *fresh);
    return region;
}

// What cannot be had is taken when it is needed, and the put then hears why.
void OpenRegions::takeAhead(Deadline deadline) {
    Lock lock(mutex_);
    for (auto& [key, slot] : slots_) {
        if (!slot.wanted || slot.is_taking) continue;
        const KnownFile file = std::move(*slot.wanted);
        slot.wanted.reset();
        if (slot.next) continue;
        std::list<RegionPtr> fresh{std::make_shared<OpenRegion>(file)};
        if (auto taken = take(slot, file, &fresh, lock, deadline)) slot.next = std::move(*taken);
    }
}

void OpenRegions::leave(OpenRegion& region) {
    bool attends = false;
    {
        const std::lock_guard lock(mutex_);
        --region.users;
        attends = region.users == 0 && region.is_retired;
        changed_.notify_all();
    }
    if (attends) attend_();
}

void OpenRegions::retireLocked(RegionPtr& region) {
    region->is_retired = true;
    region.reset();
}

void OpenRegions::retire(OpenRegion& region) {
    const std::lock_guard lock(mutex_);
    for (auto& [key, slot] : slots_) {
        if (slot.open.get() == &region) retireLocked(slot.open);
    }
}

void OpenRegions::retireIdle(std::chrono::milliseconds idle) {
    const std::lock_guard lock(mutex_);
    const auto since = steady_clock::now() - idle;
    for (auto& [key, slot] : slots_) {
        for (RegionPtr* const region : {&slot.open, &slot.next}) {
            if (*region && (*region)->users == 0 && (*region)->last_used < since) {
                retireLocked(*region);
            }
        }
    }
}

void OpenRegions::sealRetired(Deadline deadline) {
    sealRetired([](const OpenRegion&) { return true; }, deadline);
}

void OpenRegions::sealAll(FileNumber file, Deadline deadline) {
    const auto matches = [&](const OpenRegion& region) {
        return file == 0 || region.region.id.file == file;
    };
    {
        std::unique_lock lock(mutex_);
        for (auto& [key, slot] : slots_) {
            if (slot.wanted && (file == 0 || key.first == file)) slot.wanted.reset();
            for (RegionPtr* const region : {&slot.open, &slot.next}) {
                if (*region && matches(**region)) retireLocked(*region);
            }
        }
        changed_.wait_until(lock, deadline, [&] {
            return std::all_of(regions_.begin(), regions_.end(), [&](const auto& region) {
                return region->users == 0 || !matches(*region);
            });
        });
    }
    sealRetired(matches, deadline);
}

// Each that nobody writes to any more. One that could not be sealed now is left for a later look.
template <class Matches>
void OpenRegions::sealRetired(const Matches& matches, Deadline deadline) {
    std::unique_lock lock(mutex_);
    const uint64_t look = ++looks_;
    for (;;) {
        const auto at = std::find_if(regions_.begin(), regions_.end(), [&](const auto& region) {
            return region->is_retired && region->users == 0 && !region->is_sealing &&
                   region->last_look < look && matches(*region);
        });
        if (at == regions_.end()) return;
        OpenRegion& region = **at;
        region.is_sealing = true;
        region.last_look = look;
        lock.unlock();
        const bool is_sealed = seal(region, deadline);
        lock.lock();
        region.is_sealing = false;
        if (is_sealed) regions_.erase(at);
    }
}

void OpenRegions::sealUnknown(Deadline deadline) {
    std::unique_lock lock(mutex_);
    for (auto& [key, slot] : slots_) {
        if (!std::exchange(slot.is_in_doubt, false)) continue;
        lock.unlock();
        const auto sealed = withoutThrowing([&] { return sealUnknownOf(key.first, deadline); });
        lock.lock();
        if (sealed) continue;
        slot.is_in_doubt = true;
        return;
    }
}

// @return an error where that is not known of all
Result<> OpenRegions::sealUnknownOf(FileNumber file, Deadline deadline) {
    const auto regions = directory_.regions(file, deadline);
    if (!regions) return tl::unexpected(regions.error());
    const ClientId self = directory_.lease().client;
    for (const Region& region : *regions) {
        if (region.state != RegionState::kOpen || region.owner != self) continue;
        {
            const std::lock_guard lock(mutex_);
            const auto isThis = [&](const auto& one) { return one->region.id == region.id; };
            if (std::any_of(regions_.begin(), regions_.end(), isThis)) continue;
            const auto isTaking = [&](const auto& slot) {
                return slot.first.first == file && slot.second.is_taking;
            };
            if (std::any_of(slots_.begin(), slots_.end(), isTaking)) {
                return failed(Failure::kConflict, "it may be the one that is being taken");
            }
        }
        LOG(WARNING) << "store: region " << toString(region.id)
                     << " was taken without an answer; it is sealed";
        const auto sealed = directory_.sealRegion(region.id, region.generation, {}, deadline);
        if (!sealed) return sealed;
    }
    return {};
}

// @return whether there is nothing left to do. A region of an earlier lease is sealed by whoever
// needs it.
bool OpenRegions::seal(const OpenRegion& region, Deadline deadline) const {
    if (!owns(region)) return true;
    const Region& taken = region.region;
    const auto sealed = withoutThrowing([&] {
        return directory_.sealRegion(taken.id, taken.generation,
                                     {region.bytes.load(), region.objects.load()}, deadline);
    });
    if (sealed) return true;
    LOG_EVERY_T(WARNING, 5) << "store: region " << toString(taken.id)
                            << " is not sealed yet: " << sealed.error().message;
    const Failure failure = sealed.error().failure;
    return failure == Failure::kConflict || failure == Failure::kNotFound ||
           failure == Failure::kLeaseLost;
}

}  // namespace mooncake::store
