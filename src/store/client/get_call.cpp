// SPDX-License-Identifier: Apache-2.0
#include "get_call.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "checksum.h"
#include "engine_file.h"
#include "in_flight.h"
#include "report.h"
#include "superblock.h"
#include "table_page.h"

namespace mooncake::store {
namespace {

// An object is not chased for ever that others replace all the time, or whose node moves on.
constexpr unsigned kMostLookUps = 4;
constexpr unsigned kMostReturns = 2;
// Of what is read at once of a copy that is looked at closely.
constexpr size_t kRereadBlocks = (1 << 20) / kBlockBytes;

}  // namespace

void GetCall::run(std::span<Item> items) {
    files_ = parts_.files.files();
    works_.reserve(items.size());
    for (Item& item : items) start(item);
    parts_.counters.add(&ClientStatistics::gets, works_.size());
    remember();
    std::vector<Work*> pending;
    pending.reserve(works_.size());
    for (Work& work : works_) pending.push_back(&work);
    while (!pending.empty()) {
        // Ways may be others than they were in the round before.
        used_.clear();
        extents_.clear();
        std::vector<Work*> unknown, useless, readable;
        readable.reserve(pending.size());
        for (Work* const work : pending) {
            if (!work->item->entry || work->is_suspect) unknown.push_back(work);
        }
        lookUp(unknown, unknown.size() != pending.size());
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
        lookUp(remembered, !readable.empty());
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
    Work& work = works_.emplace_back();
    work.item = &item;
    work.room = room;
}

// The entries that are remembered.
void GetCall::remember() {
    std::vector<const std::string*> keys;
    std::vector<Item*> asking;
    for (const Work& work : works_) {
        if (work.item->entry || work.item->copies != nullptr) continue;
        keys.push_back(work.item->key);
        asking.push_back(work.item);
    }
    std::vector<EntryPtr> entries(keys.size());
    parts_.cache.find(keys, entries);
    // What is looked at next lies all over the memory, too.
    for (const EntryPtr& entry : entries) __builtin_prefetch(entry.get());
    for (const EntryPtr& entry : entries) {
        if (entry) __builtin_prefetch(entry->replicas.data());
    }
    uint64_t remembered = 0;
    for (size_t i = 0; i < entries.size(); ++i) {
        if (!entries[i]) continue;
        ++remembered;
        if (!entries[i]->replicas.empty()) {
            __builtin_prefetch(entries[i]->replicas.front().data());
        }
        asking[i]->entry = std::move(entries[i]);
    }
    parts_.counters.add(&ClientStatistics::cache_hits, remembered);
    parts_.counters.add(&ClientStatistics::cache_misses, keys.size() - remembered);
}

void GetCall::lookUp(const std::vector<Work*>& works, bool has_others) {
    if (works.empty()) return;
    std::vector<std::string> keys;
    for (const Work* work : works) keys.push_back(*work->item->key);
    mark_ = parts_.cache.mark();
    // Where another copy or object is to be read if nobody answers, half of the time is left for
    // it.
    const bool has_copy = std::any_of(works.begin(), works.end(), [](const Work* work) {
        if (!work->is_suspect || work->item->entry == nullptr) return false;
        size_t left = 0;
        for (size_t i = 0; i < work->item->entry->replicas.size(); ++i) left += !work->isLeftOut(i);
        return left > 1;
    });
    const auto now = std::chrono::steady_clock::now();
    const bool leaves_time = has_others || has_copy;
    const Deadline limit = leaves_time ? now + (deadline_ - now) / 2 : deadline_;
    auto entries = parts_.directory.lookup(keys, limit);
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
            work.leaveOut(work.copy);
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
    work.tried = 0;
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
    } else if (const auto is_right = isRight(copy); !is_right) {
        work.was_silent = true;
    } else if (!*is_right) {
        work.was_damaged = true;
        if (takeOut(work)) return;
    } else if (work.item->copies != nullptr) {
        return hit(work);
    } else if (std::exchange(work.was_right, true)) {
        work.item->result =
            report(ErrorCode::INVALID_PARAMS,
                   "the slices overlap, or somebody else writes to them: the object is right in "
                   "its file, and twice it was not in this memory");
        work.has_ended = true;
        return;
    } else {
        return;  // once more
    }
    work.leaveOut(work.copy);
}

// Whether the copy has the bytes that were put, read into memory that nobody else knows: in the
// caller's they may have been overwritten. Nothing where it cannot be read.
std::optional<bool> GetCall::isRight(const Replica& copy) {
    std::vector<Block> memory(kRereadBlocks);
    const auto bytes = std::as_writable_bytes(std::span(memory));
    for (const Extent& extent : copy) {
        const KnownFile* const file = find(extent.region.file);
        const auto way = file == nullptr ? std::nullopt : parts_.files.wayTo(*file);
        if (!way) return std::nullopt;
        EngineFile reader(parts_.engine, *way, file->info.description.size);
        const uint64_t begin = file->placeOf(*way, extent).offset;
        RunningChecksum checksum;
        checksum.start();
        for (uint64_t at = 0; at < extent.length; at += bytes.size()) {
            const uint64_t length = std::min<uint64_t>(bytes.size(), extent.length - at);
            const uint64_t whole = (length + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
            if (std::chrono::steady_clock::now() >= deadline_ ||
                !reader.read(begin + at, bytes.first(whole))) {
                return std::nullopt;
            }
            checksum.add(bytes.data(), length);
        }
        if (checksum.end() != extent.checksum) return false;
    }
    return true;
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
        // Its node may have been started anew, and serve it under another number.
        parts_.files.forgetWay(number);
        refreshFiles();
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
    work.forget(work.copy);
    work.has_dropped = true;
    return true;
}

bool GetCall::refreshFiles() {
    if (!parts_.files.refresh(deadline_)) return false;
    files_before_.push_back(std::exchange(files_, parts_.files.files()));
    return true;
}

// A file that is not known may be new.
const KnownFile* GetCall::find(FileNumber number) {
    auto at = files_->find(number);
    if (at == files_->end() && !has_refreshed_) {
        has_refreshed_ = true;
        refreshFiles();
        at = files_->find(number);
    }
    return at == files_->end() ? nullptr : &at->second;
}

// The same, with the way to it.
GetCall::Used* GetCall::use(FileNumber number) {
    for (Used& used : used_) {
        if (used.number == number) return &used;
    }
    const KnownFile* const file = find(number);
    if (file == nullptr) return nullptr;
    used_.push_back({number, file, parts_.files.wayTo(*file)});
    return &used_.back();
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
            if (work.isLeftOut(copy)) continue;
            const Used* const used = use(entry.replicas[copy].front().region.file);
            if (used == nullptr || !used->file->isServed()) continue;
            const uint64_t rank =
                used->file->is_near ? 0 : 1 + used->bytes + used->file->load->in_flight.load();
            if (!best || rank < best_rank) {
                best = copy;
                best_rank = rank;
            }
        }
        if (!best) return false;
        if (prepare(work, *best)) return true;
        work.leaveOut(*best);
    }
}

bool GetCall::prepare(Work& work, size_t copy) {
    work.copy = copy;
    work.first_extent = extents_.size();
    for (const Extent& extent : work.item->entry->replicas[copy]) {
        Used* const used = use(extent.region.file);
        if (used == nullptr || !used->way || extent.region.index >= used->file->geometry.regions) {
            extents_.resize(work.first_extent);
            return false;
        }
        extents_.push_back(
            {used->file->placeOf(*used->way, extent), extent.length, extent.checksum});
    }
    for (const Extent& extent : work.item->entry->replicas[copy]) {
        use(extent.region.file)->bytes += extent.length;
    }
    if ((work.has_dropped || work.tried != 0) && work.item->copies == nullptr) {
        parts_.counters.add(&ClientStatistics::failovers);
    }
    return true;
}

void GetCall::read(const std::vector<Work*>& works) {
    if (works.empty()) return;
    std::vector<GetItem> items;
    items.reserve(works.size());
    for (Work* const work : works) {
        const size_t count = work->item->entry->replicas[work->copy].size();
        items.push_back(
            {work->item->slices, std::span(extents_).subspan(work->first_extent, count)});
    }
    {
        InFlight in_flight;
        for (const Used& used : used_) in_flight.add(used.file->load, used.bytes);
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
                work.leaveOut(work.copy);
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
    parts_.counters.add(&ClientStatistics::hits, std::exchange(hits_, 0));
    parts_.counters.add(&ClientStatistics::get_bytes, std::exchange(hit_bytes_, 0));
    afterErrors(silent);
}

// A node that was started anew serves its files elsewhere.
void GetCall::afterErrors(const std::vector<Work*>& works) {
    if (works.empty()) return;
    const auto before = files_;
    if (!refreshFiles()) return;
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
                work->takeIn(work->copy);
            }
        }
    }
}

void GetCall::hit(Work& work) {
    const ObjectEntry& entry = *work.item->entry;
    if (work.item->copies != nullptr) {
        ++work.item->copies->right;
        work.leaveOut(work.copy);
        return;
    }
    work.item->result = entry.size;
    work.has_ended = true;
    for (const Extent& extent : entry.replicas[work.copy]) {
        if (touched_.empty() || touched_.back() != extent.region) {
            touched_.push_back(extent.region);
        }
    }
    ++hits_;
    hit_bytes_ += entry.size;
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
        end(work, ErrorCode::OBJECT_NOT_FOUND, &ClientStatistics::misses_evicted);
    } else {
        end(work, ErrorCode::OBJECT_NOT_FOUND, &ClientStatistics::misses_unreachable);
    }
}

}  // namespace mooncake::store
