// SPDX-License-Identifier: Apache-2.0
#include "put_call.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "membership.h"
#include "random_id.h"
#include "report.h"
#include "stale_entry.h"

namespace mooncake::store {
namespace {

using std::chrono::steady_clock;

// Of one attempt: the pages of so many fit into one region.
constexpr size_t kMostObjects = 2048;
constexpr uint64_t kMostBytes = uint64_t{1} << 30;
constexpr unsigned kAttempts = 3;
// How long a put waits for regions that other calls are about to seal, where nothing else can be
// evicted, and how often it looks.
constexpr std::chrono::seconds kPatience(2);
constexpr std::chrono::milliseconds kLook(5);

uint64_t nowMs() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
}

std::string whatIsWrong(const PutCall::Item& item, const ReplicateConfig& config) {
    if (const auto checked = checkKey(*item.key); !checked) return checked.error().message;
    if (config.replica_num == 0 || config.replica_num > kMaxReplicas) {
        return std::to_string(config.replica_num) + " copies are asked for; 1 to " +
               std::to_string(kMaxReplicas) + " can be";
    }
    uint64_t size = 0;
    for (const Slice& slice : item.slices) {
        if (slice.ptr == nullptr && slice.size != 0) {
            return "a slice of " + std::to_string(slice.size) + " bytes is at address 0";
        }
        size += slice.size;
    }
    return size == 0 ? "an object has 1 byte or more, and the slices have none" : "";
}

}  // namespace

PutCall::PutCall(ClientParts& parts, const ReplicateConfig& config, bool replaces,
                 Deadline deadline)
    : parts_(parts),
      config_(config),
      replaces_(replaces),
      deadline_(deadline),
      flags_(static_cast<uint8_t>((config.with_soft_pin ? kSoftPin : 0) |
                                  (config.with_hard_pin ? kHardPin : 0))) {}

void PutCall::run(std::span<Item> items) {
    start(items);
    if (!replaces_) leaveOutExisting();
    std::vector<Work*> pending;
    for (Work& work : works_) {
        if (!work.has_ended) pending.push_back(&work);
    }
    for (unsigned attempts = 0; attempts < kAttempts && !pending.empty(); ++attempts) {
        if (attempts != 0) {
            parts_.counters.add(&ClientStatistics::retried_puts, pending.size());
            lookAgain();
        }
        for (size_t at = 0; at < pending.size();) at += attempt(Works(pending).subspan(at));
        std::erase_if(pending, [](const Work* work) { return work->has_ended; });
        if (steady_clock::now() >= deadline_) break;
    }
    for (Work* const work : pending) failed(*work, work->failure);
    for (Item& item : items) item.result = items[last_of_key_.at(*item.key)].result;
}

void PutCall::start(std::span<Item> items) {
    for (size_t i = 0; i < items.size(); ++i) last_of_key_[*items[i].key] = i;
    works_.reserve(last_of_key_.size());
    for (size_t i = 0; i < items.size(); ++i) {
        if (last_of_key_.at(*items[i].key) != i) continue;
        if (const auto why = whatIsWrong(items[i], config_); !why.empty()) {
            items[i].result = report(ErrorCode::INVALID_PARAMS, why);
            continue;
        }
        Work work{};
        work.item = &items[i];
        for (const Slice& slice : items[i].slices) work.size += slice.size;
        works_.push_back(std::move(work));
    }
    parts_.counters.add(&ClientStatistics::puts, works_.size());
}

// No byte is written for a key that is there.
void PutCall::leaveOutExisting() {
    if (works_.empty()) return;
    std::vector<std::string> keys;
    for (const Work& work : works_) keys.push_back(*work.item->key);
    const auto files = parts_.files.files();
    // With a filter an entry that is damaged counts as none, too.
    const auto is_there = [&](const Extent& extent) {
        const auto file = files->find(extent.region.file);
        return file == files->end() || !file->second.is_gone;
    };
    const auto there = parts_.directory.exists(keys, is_there, deadline_);
    if (!there) {
        const auto code = report(there.error());
        for (Work& work : works_) failed(work, code.value());
        return;
    }
    for (size_t i = 0; i < works_.size(); ++i) {
        if ((*there)[i]) existed(works_[i]);
    }
}

// A file that was of no use may be served elsewhere now.
void PutCall::lookAgain() {
    if (broken_.empty() || !parts_.files.refresh(deadline_)) return;
    const auto now = parts_.files.files();
    const auto mountIn = [](const FileMap& files, FileNumber file) {
        const auto at = files.find(file);
        return at == files.end() ? std::nullopt : at->second.info.mount;
    };
    std::erase_if(broken_, [&](FileNumber file) {
        const auto mount = mountIn(*now, file);
        return mount && mount != mountIn(*files_, file);
    });
}

size_t PutCall::attempt(Works works) {
    if (const auto member = parts_.ensure_member(deadline_); !member) {
        const auto code = report(member.error());
        for (Work* work : works) failed(*work, code.value());
        return works.size();
    }
    files_ = parts_.files.files();
    std::optional<Placer> chosen(std::in_place, files_, config_, randomId());
    // A file that was mounted a moment ago may not be known yet.
    if (!chosen->hasAllThatIsWanted() && parts_.files.refreshAgain(deadline_)) {
        files_ = parts_.files.files();
        chosen.emplace(files_, config_, randomId());
    }
    Placer& placer = *chosen;
    for (const FileNumber file : broken_) placer.exclude(file);
    RegionWriter writer(parts_.open, parts_.files, parts_.data);
    size_t count = 0;
    uint64_t bytes = 0;
    for (; count < works.size() && count < kMostObjects && bytes < kMostBytes; ++count) {
        Work& work = *works[count];
        // What this call itself has written can be evicted only when it is committed.
        if (!layOut(writer, placer, work, count == 0) && count != 0) break;
        bytes += work.size;
    }
    const auto until = writeUntil(parts_.directory, deadline_);
    writer.write(until);
    // What was not sent for want of time, no file is to blame for.
    may_blame_ = steady_clock::now() < until;
    commit(writer, works.first(count));
    return count;
}

// @param may_wait  whether to wait for room, and to end the object where there is none
// @return whether it has room for one copy at least, or has ended
bool PutCall::layOut(RegionWriter& writer, Placer& placer, Work& work, bool may_wait) {
    work.copies.clear();
    // What cannot be stored must not evict what is there.
    if (const uint64_t most = placer.capacity(); most != 0 && work.size > most) {
        failed(work, report(ErrorCode::NO_AVAILABLE_HANDLE,
                            "an object of " + std::to_string(work.size) +
                                " bytes is larger than all files of the store, which have " +
                                std::to_string(most) + "; mount more files")
                         .value());
        return true;
    }
    for (;;) {
        if (work.put_id == 0) {
            // The same in every copy's table of contents, by which rebuild knows them as copies.
            work.put_id = randomId();
            work.entry.time_ms = nowMs();
        }
        std::vector<const KnownFile*> used;
        Error error{Failure::kNoSpace, "no node of the store mounts a file"};
        const auto chosen = placer.choose(work.size);
        if (chosen.empty() && !broken_.empty()) {
            work.failure = ErrorCode::WRITE_FAIL;
            return true;
        }
        for (size_t i = 0; i < chosen.size(); ++i) {
            const KnownFile* const file =
                placer.isNodeOfOne(*chosen[i], used) ? placer.another(used, work.size) : chosen[i];
            if (file == nullptr) break;
            TableRecord record;
            record.key = *work.item->key;
            record.put_id = work.put_id;
            record.size = work.size;
            record.flags = flags_;
            record.time_ms = work.entry.time_ms;
            record.replica = static_cast<uint32_t>(i);
            const size_t copy = writer.begin(record, work.size, work.item->slices);
            if (auto room = layOutCopy(writer, placer, copy, file, &used); room) {
                work.copies.push_back(copy);
            } else {
                writer.abandon(copy);
                error = room.error();
            }
        }
        if (!work.copies.empty()) {
            patience_.reset();
            return true;
        }
        if (!may_wait) return false;
        // Of objects that follow each other the first one waits for all.
        if (!patience_) patience_ = std::min(deadline_, steady_clock::now() + kPatience);
        if (error.failure != Failure::kNoSpace || chosen.empty() ||
            steady_clock::now() >= *patience_) {
            work.failure = report(error).value();
            if (error.failure == Failure::kNoSpace) failed(work, work.failure);
            return true;
        }
        std::this_thread::sleep_for(kLook);
        placer.clearExcluded();
        for (const FileNumber file : broken_) placer.exclude(file);
    }
}

// Room for a whole copy: in this file; where that is full of what must stay, in others of nodes
// that have no copy.
Result<> PutCall::layOutCopy(RegionWriter& writer, Placer& placer, size_t copy,
                             const KnownFile* file, std::vector<const KnownFile*>* used) {
    for (;;) {
        auto grown = writer.grow(copy, *file, deadline_);
        if (!grown && grown.error().failure == Failure::kNoSpace) {
            parts_.open.sealRetired(deadline_);
            auto made = parts_.evictor.makeRoom(*file, deadline_);
            if (made && steady_clock::now() < deadline_) continue;
            if (!made) grown = std::move(made);
        }
        if (grown) {
            // It may lie in several, of several nodes.
            for (const Extent& extent : writer.extents(copy)) {
                placer.addFile(extent.region.file, used);
            }
            return {};
        }
        if (grown.error().failure == Failure::kLeaseLost) return grown;
        placer.exclude(file->info.number);
        if (grown.error().failure == Failure::kUnavailable) broken_.insert(file->info.number);
        // What has begun on a node stays there as long as that has room.
        const bool has_begun = !writer.extents(copy).empty();
        file = placer.another(*used, 0, has_begun ? file->info.mount->node : std::string());
        if (file == nullptr) return grown;
    }
}

ErrorCode PutCall::whyNotWritten(const RegionWriter& writer, const Work& work) const {
    const std::string what = "an object of " + std::to_string(work.size) + " bytes ";
    if (!may_blame_) {
        return report(ErrorCode::RPC_TIMEOUT,
                      what +
                          "was not on its way when the time was over, or the lease; see whether "
                          "the directory answers, and give calls more time")
            .value();
    }
    return report(ErrorCode::WRITE_FAIL,
                  what + "is not written to file " +
                      std::to_string(writer.extents(work.copies[0]).front().region.file) +
                      " of the store; the transport's log says why")
        .value();
}

// The entry of what was written.
void PutCall::gather(RegionWriter& writer, Work& work) {
    work.entry.size = work.size;
    work.entry.flags = flags_;
    work.entry.replicas.clear();
    std::vector<size_t> written;
    for (const size_t copy : work.copies) {
        if (writer.isWritten(copy)) {
            work.entry.replicas.push_back(writer.extents(copy));
            written.push_back(copy);
            continue;
        }
        if (!may_blame_) continue;
        for (const Extent& extent : writer.extents(copy)) broken_.insert(extent.region.file);
    }
    if (written.empty() && !work.copies.empty()) {
        work.failure = whyNotWritten(writer, work);
    }
    work.copies = std::move(written);
}

void PutCall::commit(RegionWriter& writer, Works works) {
    std::vector<Work*> committed;
    std::vector<Change> changes;
    for (Work* const work : works) {
        if (work->has_ended) continue;
        gather(writer, *work);
        if (work->entry.replicas.empty()) continue;
        committed.push_back(work);
        changes.push_back({*work->item->key,
                           work->entry,
                           replaces_ ? Change::When::kAlways : Change::When::kAbsent,
                           {}});
    }
    if (changes.empty()) return;
    mark_ = parts_.cache.mark();
    const auto outcomes = parts_.directory.commit(changes, deadline_);
    if (!outcomes) return findOut(writer, committed, outcomes.error());
    for (size_t i = 0; i < committed.size(); ++i) {
        switch ((*outcomes)[i]) {
            case ChangeOutcome::kDone:
                stored(writer, *committed[i]);
                break;
            case ChangeOutcome::kExists:
            case ChangeOutcome::kChanged:
                existed(*committed[i]);
                break;
            case ChangeOutcome::kRegionLost:
                for (const size_t copy : committed[i]->copies) writer.lost(copy);
                committed[i]->failure = ErrorCode::LEASE_EXPIRED;
                break;
        }
    }
}

// Its answer was lost: what is there tells.
void PutCall::findOut(RegionWriter& writer, const std::vector<Work*>& works, const Error& error) {
    const auto code = report(error);
    if (error.failure == Failure::kLeaseLost) {
        // Once more, as another client; a key that is there by then is left alone.
        for (Work* const work : works) work->failure = code.value();
        return;
    }
    std::vector<std::string> keys;
    for (const Work* work : works) keys.push_back(*work->item->key);
    // The call's own time may be over.
    const auto limit = std::max(deadline_, steady_clock::now() + std::chrono::seconds(1));
    const auto entries = parts_.directory.lookup(keys, limit);
    const auto files = parts_.files.files();
    const auto isOnFileThatIsThere = [&](const Extent& extent) {
        const auto file = files->find(extent.region.file);
        return file == files->end() || !file->second.is_gone;
    };
    const auto hasCopy = [&](const ObjectEntry& entry) {
        return std::any_of(entry.replicas.begin(), entry.replicas.end(), [&](const Replica& copy) {
            return std::all_of(copy.begin(), copy.end(), isOnFileThatIsThere);
        });
    };
    for (size_t i = 0; i < works.size(); ++i) {
        const auto entry = entries ? (*entries)[i] : std::nullopt;
        if (entry && *entry == works[i]->entry) {
            stored(writer, *works[i]);
        } else if (entry && !replaces_ && hasCopy(*entry)) {
            existed(*works[i]);
        } else {
            // It may still happen: its bytes stay where they are.
            failed(*works[i], code.value());
        }
    }
}

void PutCall::stored(RegionWriter& writer, Work& work) {
    for (const size_t copy : work.copies) writer.committed(copy);
    parts_.cache.put(*work.item->key, std::make_shared<const ObjectEntry>(std::move(work.entry)),
                     mark_);
    parts_.counters.add(&ClientStatistics::stored);
    parts_.counters.add(&ClientStatistics::put_bytes, work.size);
    work.item->result = {};
    work.has_ended = true;
}

void PutCall::existed(Work& work) {
    parts_.counters.add(&ClientStatistics::existing);
    work.item->result = {};
    work.has_ended = true;
}

void PutCall::failed(Work& work, ErrorCode code) {
    parts_.counters.add(&ClientStatistics::put_failures);
    work.item->result = tl::unexpected(code);
    work.has_ended = true;
}

}  // namespace mooncake::store
