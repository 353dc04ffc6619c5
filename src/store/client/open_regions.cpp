// SPDX-License-Identifier: Apache-2.0
#include "open_regions.h"

#include <glog/logging.h>

#include <algorithm>

namespace mooncake::store {

using std::chrono::steady_clock;

// Whether it was taken under the lease that this client has now.
bool OpenRegions::ownsLocked(const OpenRegion& region) const {
    return region.region.owner == directory_.lease().client;
}

Result<OpenRegions::Use> OpenRegions::use(const KnownFile& file, uint8_t pins, Deadline deadline) {
    const Slot slot{file.info.number, pins};
    std::unique_lock lock(mutex_);
    for (;;) {
        if (const auto at = open_.find(slot); at != open_.end()) {
            if (ownsLocked(*at->second)) {
                ++at->second->users;
                at->second->last_used = steady_clock::now();
                return Use(this, at->second);
            }
            open_.erase(at);
        }
        if (!taking_[slot]) break;
        if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
            return failed(Failure::kTimeout,
                          "no region could be taken in time; see whether the "
                          "directory answers");
        }
    }
    taking_[slot] = true;
    lock.unlock();
    auto taken = withoutThrowing([&] { return directory_.takeRegion(slot.first, deadline); });
    lock.lock();
    taking_.erase(slot);
    changed_.notify_all();
    if (!taken) return tl::unexpected(taken.error());
    counters_.add(&ClientStatistics::regions_taken);
    if (auto clean = file.load->clean.load(); clean != 0) file.load->clean = clean - 1;
    const auto region = std::make_shared<OpenRegion>(*taken, file);
    ++region->users;
    region->last_used = steady_clock::now();
    open_[slot] = region;
    return Use(this, region);
}

void OpenRegions::leave(OpenRegion& region) {
    const std::lock_guard lock(mutex_);
    --region.users;
    changed_.notify_all();
}

void OpenRegions::retireLocked(OpenRegion& region) {
    for (auto at = open_.begin(); at != open_.end(); ++at) {
        if (at->second.get() != &region) continue;
        region.is_retired = true;
        retired_.push_back(std::move(at->second));
        open_.erase(at);
        return;
    }
}

void OpenRegions::retire(OpenRegion& region) {
    const std::lock_guard lock(mutex_);
    retireLocked(region);
}

void OpenRegions::retireIdle(std::chrono::milliseconds idle) {
    const std::lock_guard lock(mutex_);
    const auto since = steady_clock::now() - idle;
    std::vector<std::shared_ptr<OpenRegion>> unused;
    for (const auto& [slot, region] : open_) {
        if (region->users == 0 && region->last_used < since) unused.push_back(region);
    }
    for (const auto& region : unused) retireLocked(*region);
}

void OpenRegions::sealRetired(Deadline deadline) {
    std::vector<std::shared_ptr<OpenRegion>> done;
    {
        const std::lock_guard lock(mutex_);
        const auto is_done = [](const auto& region) { return region->users == 0; };
        std::copy_if(retired_.begin(), retired_.end(), std::back_inserter(done), is_done);
        std::erase_if(retired_, is_done);
    }
    seal(done, deadline);
}

void OpenRegions::sealAll(FileNumber file, Deadline deadline) {
    const auto matches = [&](const OpenRegion& region) {
        return file == 0 || region.region.id.file == file;
    };
    std::vector<std::shared_ptr<OpenRegion>> done;
    {
        std::unique_lock lock(mutex_);
        for (const auto& [slot, region] : open_) {
            if (matches(*region)) done.push_back(region);
        }
        std::erase_if(open_, [&](const auto& one) { return matches(*one.second); });
        for (const auto& region : retired_) {
            if (matches(*region)) done.push_back(region);
        }
        std::erase_if(retired_, [&](const auto& region) { return matches(*region); });
        changed_.wait_until(lock, deadline, [&] {
            return std::all_of(done.begin(), done.end(),
                               [](const auto& region) { return region->users == 0; });
        });
        // Nobody may seal one that is still written to.
        std::erase_if(done, [&](const auto& region) {
            if (region->users == 0) return false;
            region->is_retired = true;
            retired_.push_back(region);
            return true;
        });
    }
    seal(done, deadline);
}

// Who cannot seal one leaves it to whoever needs it, when this client's lease has ended.
void OpenRegions::seal(const std::vector<std::shared_ptr<OpenRegion>>& regions, Deadline deadline) {
    for (const auto& region : regions) {
        const Region& taken = region->region;
        if (taken.owner != directory_.lease().client) continue;
        const auto sealed = directory_.sealRegion(
            taken.id, taken.generation, {region->bytes.load(), region->objects.load()}, deadline);
        if (sealed) continue;
        LOG(WARNING) << "store: region " << toString(taken.id)
                     << " was not sealed: " << sealed.error().message;
        if (sealed.error().failure != Failure::kTimeout &&
            sealed.error().failure != Failure::kUnavailable) {
            continue;
        }
        const std::lock_guard lock(mutex_);
        region->is_retired = true;
        retired_.push_back(region);
    }
}

}  // namespace mooncake::store
