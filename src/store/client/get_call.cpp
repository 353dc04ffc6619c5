// SPDX-License-Identifier: Apache-2.0
#include "get_call.h"

#include <glog/logging.h>

#include <algorithm>
#include <numeric>

#include "engine_file.h"
#include "in_flight.h"
#include "report.h"
#include "superblock.h"

namespace mooncake::store {
namespace {

// An object is not chased for ever that others replace all the time, or whose node moves on.
constexpr unsigned kMostLookUps = 4;
constexpr unsigned kMostReturns = 2;

}  // namespace

void GetCall::run(std::span<Item> items) {
    files_ = parts_.files.files();
    works_.reserve(items.size());
    for (Item& item : items) start(item);
    std::vector<Work*> pending;
    for (Work& work : works_) pending.push_back(&work);
    while (!pending.empty()) {
        std::vector<Work*> unknown, useless, readable;
        for (Work* const work : pending) {
            if (!work->item->entry || work->is_suspect) unknown.push_back(work);
        }
        lookUp(unknown);
        for (Work* const work : pending) {
            if (work->has_ended) continue;
            (choose(*work) ? readable : useless).push_back(work);
        }
        // What was remembered is of no use; the directory may know better.
        std::erase_if(useless, [](const Work* work) { return work->has_ended; });
        std::vector<Work*> remembered;
        for (Work* const work : useless) {
            if (work->look_ups == 0) remembered.push_back(work);
        }
        lookUp(remembered);
        for (Work* const work : useless) {
            if (work->has_ended) continue;
            if (choose(*work)) {
                readable.push_back(work);
            } else if (!work->has_ended) {
                conclude(*work);
            }
        }
        read(readable);
        std::erase_if(pending, [](const Work* work) { return work->has_ended; });
    }
    if (!touched_.empty()) parts_.touched.add(touched_);
}

void GetCall::start(Item& item) {
    const auto refuse = [&](const std::string& why) {
        item.result = report(ErrorCode::INVALID_PARAMS, why);
    };
    if (const auto checked = checkKey(*item.key); !checked) return refuse(checked.error().message);
    uint64_t room = 0;
    for (const Slice& slice : item.slices) {
        if (slice.ptr == nullptr && slice.size != 0) {
            return refuse("a slice of " + std::to_string(slice.size) + " bytes is at address 0");
        }
        room += slice.size;
    }
    if (room == 0) return refuse("there is no memory to get an object into");
    parts_.counters.add(&ClientStatistics::gets);
    if (!item.entry && item.copies == nullptr) {
        item.entry = parts_.cache.find(*item.key);
        parts_.counters.add(item.entry ? &ClientStatistics::cache_hits
                                       : &ClientStatistics::cache_misses);
    }
    Work work{};
    work.item = &item;
    work.room = room;
    if (item.entry) work.tried.resize(item.entry->replicas.size());
    works_.push_back(std::move(work));
}

void GetCall::lookUp(const std::vector<Work*>& works) {
    if (works.empty()) return;
    std::vector<std::string> keys;
    for (const Work* work : works) keys.push_back(*work->item->key);
    mark_ = parts_.cache.mark();
    auto entries = parts_.directory.lookup(keys, deadline_);
    for (size_t i = 0; i < works.size(); ++i) {
        Work& work = *works[i];
        ++work.look_ups;
        if (entries) {
            takeEntry(work, std::move((*entries)[i]));
            continue;
        }
        work.directory_error = codeOf(entries.error().failure);
        if (work.is_suspect) {
            // Nobody can tell now whether it is bad or has gone; another copy may be good.
            work.tried[work.copy] = 1;
            work.is_suspect = false;
        } else if (!work.item->entry) {
            conclude(work);
        }
    }
    if (!entries) (void)report(entries.error());
}

void GetCall::takeEntry(Work& work, std::optional<ObjectEntry> entry) {
    Item& item = *work.item;
    if (!entry) {
        parts_.cache.drop(*item.key);
        const bool was_there = item.entry != nullptr;
        return end(
            work, ErrorCode::OBJECT_NOT_FOUND,
            was_there ? &ClientStatistics::misses_evicted : &ClientStatistics::misses_absent);
    }
    if (item.entry && *item.entry == *entry) {
        if (work.is_suspect) judgeSuspect(work);
        return;
    }
    work.is_suspect = false;
    item.entry = std::make_shared<const ObjectEntry>(std::move(*entry));
    if (item.copies == nullptr) {
        parts_.cache.putFound(*item.key, item.entry, mark_);
    } else {
        item.copies->right = 0;
    }
    work.tried.assign(item.entry->replicas.size(), 0);
    if (work.look_ups > kMostLookUps) {
        end(work, ErrorCode::OBJECT_NOT_FOUND, &ClientStatistics::misses_evicted);
    }
}

// The entry is the same, and the bytes are not: why?
void GetCall::judgeSuspect(Work& work) {
    work.is_suspect = false;
    const Replica& copy = work.item->entry->replicas[work.copy];
    const bool leads_there = std::all_of(copy.begin(), copy.end(), [&](const Extent& extent) {
        return leadsToFile(extent.region.file);
    });
    if (!leads_there) {
        // It was another file. Where it is now, the next round asks.
        if (work.returns++ < kMostReturns) return;
        work.was_silent = true;
    } else if (const auto is_evicted = isEvicted(copy); !is_evicted) {
        // Not known: nothing is to be taken out.
        work.was_evicted = true;
    } else if (*is_evicted) {
        // Whoever evicted it did not see it in the region's table. The key is free again.
        work.was_evicted = true;
        if (dropReplica(work)) return;
    } else {
        work.was_damaged = true;
        if (takeOut(work)) return;
    }
    work.tried[work.copy] = 1;
}

// Whether what was read is the file that the directory means, by its superblock.
bool GetCall::leadsToFile(FileNumber number) {
    const auto [at, is_new] = leads_there_.try_emplace(number, false);
    if (!is_new) return at->second;
    const KnownFile* const file = find(number);
    const auto way = file == nullptr ? std::nullopt : parts_.files.wayTo(*file);
    if (way) {
        EngineFile reader(parts_.engine, *way, file->info.description.size);
        const auto found = readSuperblock(reader);
        at->second = found && found->state == SuperblockState::kGood &&
                     found->superblock.file == file->info.description.uuid;
    }
    if (!at->second) {
        parts_.files.forgetWay(number);
        LOG(WARNING) << "store: what was found as file " << number
                     << " is not that file; its node is asked again";
        const bool answer = at->second;
        leads_there_.erase(at);
        return answer;
    }
    return true;
}

// Whether a region of the copy has been given a new content since; nothing where it is not known.
std::optional<bool> GetCall::isEvicted(const Replica& replica) {
    for (const Extent& extent : replica) {
        const auto [at, is_new] = generations_.try_emplace(extent.region.file);
        if (is_new) {
            const auto regions = parts_.directory.regions(extent.region.file, deadline_);
            if (!regions) {
                generations_.erase(at);
                return std::nullopt;
            }
            for (const Region& region : *regions) {
                at->second[region.id.index] = region.generation;
            }
        }
        const auto now = at->second.find(extent.region.index);
        if (now != at->second.end() && now->second > extent.generation) return true;
    }
    return false;
}

bool GetCall::takeOut(Work& work) {
    const Replica& copy = work.item->entry->replicas[work.copy];
    parts_.counters.add(&ClientStatistics::checksum_failures);
    if (work.item->copies != nullptr) ++work.item->copies->damaged;
    LOG(ERROR) << "store: a copy of an object of " << work.item->entry->size << " bytes in region "
               << toString(copy.front().region)
               << " has other bytes than were put; it is taken out of the directory";
    if (!dropReplica(work)) return false;
    parts_.counters.add(&ClientStatistics::replicas_dropped);
    return true;
}

// @return whether it is out, of what is known here as well
bool GetCall::dropReplica(Work& work) {
    const std::string& key = *work.item->key;
    parts_.cache.drop(key);
    auto left = std::make_shared<ObjectEntry>(*work.item->entry);
    const auto copy = left->replicas.begin() + static_cast<ptrdiff_t>(work.copy);
    if (!parts_.directory.dropReplica(key, *copy, deadline_)) return false;
    left->replicas.erase(copy);
    work.item->entry = std::move(left);
    work.tried.erase(work.tried.begin() + static_cast<ptrdiff_t>(work.copy));
    work.has_dropped = true;
    return true;
}

// A file that is not known may be new.
const KnownFile* GetCall::find(FileNumber number) {
    auto at = files_->find(number);
    if (at == files_->end() && !has_refreshed_) {
        has_refreshed_ = true;
        if (parts_.files.refresh(deadline_)) files_ = parts_.files.files();
        at = files_->find(number);
    }
    return at == files_->end() ? nullptr : &at->second;
}

// One on this machine, else the one whose file has the least on its way.
bool GetCall::choose(Work& work) {
    const ObjectEntry& entry = *work.item->entry;
    if (work.room < entry.size) {
        work.item->result = report(ErrorCode::INVALID_PARAMS,
                                   "the slices have " + std::to_string(work.room) +
                                       " bytes, and the object has " + std::to_string(entry.size));
        work.has_ended = true;
        return false;
    }
    for (;;) {
        std::optional<size_t> best;
        uint64_t best_rank = 0;
        for (size_t copy = 0; copy < entry.replicas.size(); ++copy) {
            if (work.tried[copy] != 0) continue;
            const KnownFile* const file = find(entry.replicas[copy].front().region.file);
            if (file == nullptr || !file->isServed()) continue;
            const uint64_t rank = file->is_near ? 0 : 1 + file->load->in_flight.load();
            if (!best || rank < best_rank) {
                best = copy;
                best_rank = rank;
            }
        }
        if (!best) return false;
        if (prepare(work, *best)) return true;
        work.tried[*best] = 1;
    }
}

bool GetCall::prepare(Work& work, size_t copy) {
    work.copy = copy;
    work.extents.clear();
    work.loads.clear();
    for (const Extent& extent : work.item->entry->replicas[copy]) {
        const KnownFile* const file = find(extent.region.file);
        const auto way = file == nullptr ? std::nullopt : parts_.files.wayTo(*file);
        if (!way || extent.region.index >= file->geometry.regions) return false;
        work.extents.push_back({file->placeOf(*way, extent), extent.length, extent.checksum});
        work.loads.push_back(file->load);
    }
    const bool is_next = work.has_dropped || std::any_of(work.tried.begin(), work.tried.end(),
                                                         [](char tried) { return tried != 0; });
    if (is_next && work.item->copies == nullptr) {
        parts_.counters.add(&ClientStatistics::failovers);
    }
    return true;
}

void GetCall::read(const std::vector<Work*>& works) {
    if (works.empty()) return;
    std::vector<GetItem> items;
    items.reserve(works.size());
    for (Work* const work : works) items.push_back({work->item->slices, work->extents});
    {
        InFlight in_flight;
        for (const Work* work : works) {
            const Replica& copy = work->item->entry->replicas[work->copy];
            for (size_t i = 0; i < copy.size(); ++i) in_flight.add(work->loads[i], copy[i].length);
        }
        parts_.data.get(items, deadline_);
    }
    std::vector<Work*> silent;
    for (size_t i = 0; i < works.size(); ++i) {
        Work& work = *works[i];
        switch (items[i].outcome) {
            case Outcome::kOk:
                hit(work);
                break;
            case Outcome::kChecksumMismatch:
                work.is_suspect = true;
                break;
            case Outcome::kIoError:
                work.tried[work.copy] = 1;
                work.was_silent = true;
                silent.push_back(&work);
                break;
            case Outcome::kTimeout:
                end(work, ErrorCode::TRANSFER_FAIL, &ClientStatistics::misses_unreachable);
                break;
            case Outcome::kInvalid:
                work.item->result = report(ErrorCode::INTERNAL_ERROR, "an entry cannot be read");
                work.has_ended = true;
                break;
        }
    }
    afterErrors(silent);
}

// A node that was started anew serves its files elsewhere.
void GetCall::afterErrors(const std::vector<Work*>& works) {
    if (works.empty()) return;
    const auto before = files_;
    if (!parts_.files.refresh(deadline_)) return;
    files_ = parts_.files.files();
    for (Work* const work : works) {
        for (const Extent& extent : work->item->entry->replicas[work->copy]) {
            const FileNumber number = extent.region.file;
            const auto now = files_->find(number);
            if (now == files_->end() || now->second.own) continue;
            const auto then = before->find(number);
            if (then != before->end() && then->second.info.mount == now->second.info.mount) {
                continue;
            }
            if (now->second.info.mount && work->returns++ < kMostReturns) {
                work->tried[work->copy] = 0;
            }
        }
    }
}

void GetCall::hit(Work& work) {
    const ObjectEntry& entry = *work.item->entry;
    if (work.item->copies != nullptr) {
        ++work.item->copies->right;
        work.tried[work.copy] = 1;
        return;
    }
    work.item->result = entry.size;
    work.has_ended = true;
    for (const Extent& extent : entry.replicas[work.copy]) {
        if (touched_.empty() || touched_.back() != extent.region) {
            touched_.push_back(extent.region);
        }
    }
    parts_.counters.add(&ClientStatistics::hits);
    parts_.counters.add(&ClientStatistics::get_bytes, entry.size);
}

void GetCall::end(Work& work, ErrorCode code, uint64_t ClientStatistics::*cause) {
    work.item->result = tl::unexpected(code);
    work.has_ended = true;
    parts_.counters.add(cause);
}

// No copy is left.
void GetCall::conclude(Work& work) {
    CopyCounts* const copies = work.item->copies;
    if (copies != nullptr && work.item->entry && !work.directory_error) {
        copies->unreachable =
            static_cast<uint32_t>(work.item->entry->replicas.size()) - copies->right;
        work.item->result = work.item->entry->size;
        work.has_ended = true;
    } else if (work.was_damaged) {
        end(work, ErrorCode::CHECKSUM_MISMATCH, &ClientStatistics::misses_damaged);
    } else if (work.directory_error) {
        end(work, *work.directory_error, &ClientStatistics::misses_unreachable);
    } else if (work.was_silent) {
        end(work, ErrorCode::TRANSFER_FAIL, &ClientStatistics::misses_unreachable);
    } else if (work.was_evicted) {
        parts_.cache.drop(*work.item->key);
        end(work, ErrorCode::OBJECT_NOT_FOUND, &ClientStatistics::misses_evicted);
    } else {
        end(work, ErrorCode::OBJECT_NOT_FOUND, &ClientStatistics::misses_unreachable);
    }
}

}  // namespace mooncake::store
