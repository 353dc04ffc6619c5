// SPDX-License-Identifier: Apache-2.0
#include "file_table.h"

#include <algorithm>

#include "stale_entry.h"

namespace mooncake::store {

namespace {
constexpr std::chrono::milliseconds kMoment{100};
}  // namespace

FileTable::FileTable(Directory& directory, Ways& ways, std::string node)
    : directory_(directory),
      ways_(ways),
      node_(std::move(node)),
      files_(std::make_shared<FileMap>()) {}

std::shared_ptr<const FileMap> FileTable::files() const {
    const std::lock_guard lock(mutex_);
    return files_;
}

void FileTable::publishLocked(FileMap files) {
    all_served_ = std::all_of(files.begin(), files.end(),
                              [](const auto& file) { return file.second.isServed(); });
    files_ = std::make_shared<const FileMap>(std::move(files));
}

void FileTable::fill(KnownFile* file) const {
    const FileInfo& info = file->info;
    file->geometry = {static_cast<uint32_t>(info.description.region_size),
                      info.description.regions};
    const auto own = own_.find(info.number);
    const bool is_own = own != own_.end() && own->second.uuid == info.description.uuid;
    file->own = is_own ? std::optional(own->second.number) : std::nullopt;
    file->is_gone = isGone(info) && !is_own;
    file->is_near = file->own || (info.mount && info.mount->node == node_);
    if (!file->load) file->load = std::make_shared<FileLoad>();
}

Result<std::vector<FileInfo>> FileTable::look(Deadline deadline) {
    for (;;) {
        uint64_t version = 0;
        {
            const std::lock_guard lock(mutex_);
            version = version_;
        }
        auto all = directory_.files(deadline);
        if (!all) return all;
        const std::lock_guard lock(mutex_);
        // What the watch has told meanwhile may be newer, and it tells it once.
        if (version != version_ && std::chrono::steady_clock::now() < deadline) continue;
        Changes changes;
        changes.complete = true;
        changes.files = *all;
        applyLocked(changes);
        return all;
    }
}

Result<> FileTable::refresh(Deadline deadline) {
    if (const auto all = look(deadline); !all) return tl::unexpected(all.error());
    return {};
}

bool FileTable::refreshAgain(Deadline deadline) {
    const auto now = std::chrono::steady_clock::now();
    if (now < refreshed_.load() + kMoment) return false;
    refreshed_ = now;
    return refresh(deadline).has_value();
}

void FileTable::apply(const Changes& changes) {
    if (changes.files.empty() && !changes.complete) return;
    const std::lock_guard lock(mutex_);
    applyLocked(changes);
}

void FileTable::applyLocked(const Changes& changes) {
    ++version_;
    FileMap files = changes.complete ? FileMap() : *files_;
    for (const FileInfo& info : changes.files) {
        KnownFile file;
        if (const auto before = files_->find(info.number); before != files_->end()) {
            file.load = before->second.load;
        } else {
            file.load = std::make_shared<FileLoad>();
            file.load->clean = info.description.regions;
        }
        file.info = info;
        fill(&file);
        files[info.number] = std::move(file);
    }
    // A look at the directory from before this client has mounted a file may come in after it.
    for (const auto& [number, unused] : own_) {
        const auto before = files_->find(number);
        if (before != files_->end()) files.emplace(number, before->second);
    }
    publishLocked(std::move(files));
}

Result<> FileTable::refreshClean(Deadline deadline) {
    const auto free = directory_.freeRegions(deadline);
    if (!free) return tl::unexpected(free.error());
    const auto known = files();
    for (const FreeRegions& one : *free) {
        if (const auto at = known->find(one.file); at != known->end()) {
            at->second.load->clean = one.clean;
        }
    }
    return {};
}

void FileTable::setOwn(FileNumber file, std::optional<OwnFile> own) {
    const std::lock_guard lock(mutex_);
    if (own) {
        own_[file] = *own;
    } else {
        own_.erase(file);
    }
    FileMap files = *files_;
    if (const auto at = files.find(file); at != files.end()) fill(&at->second);
    publishLocked(std::move(files));
}

std::optional<Way> FileTable::wayTo(const KnownFile& file) {
    if (file.own) return Way{LOCAL_SEGMENT_ID, *file.own};
    if (!file.isServed()) return std::nullopt;
    return ways_.find(file.info.number, *file.info.mount);
}

}  // namespace mooncake::store
