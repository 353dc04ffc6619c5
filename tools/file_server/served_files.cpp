// SPDX-License-Identifier: Apache-2.0
#include "served_files.h"

#include <glog/logging.h>

#include <algorithm>
#include <optional>

#include "local_file.h"
#include "number_plan.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

ServedFiles::Outcome ServedFiles::apply(const std::vector<FileEntry>& wanted,
                                        const std::function<bool()>& stop) {
    std::vector<ServedFile> served;
    for (const Entry& entry : files_) served.push_back({entry.file, !registry_.serves(entry.id)});
    const FilePlan plan = planFiles(served, wanted);
    Outcome outcome;
    if (!plan.remove.empty()) registry_.withdraw(plan.remove);
    for (const std::string& path : plan.remove) {
        if (stop()) return outcome;
        remove(path, outcome);
    }
    // The numbers are those of all files, not of those that come now.
    if (!plan.add.empty()) addAll(plan.add, planNumbers(wanted), stop, outcome);
    return outcome;
}

void ServedFiles::addAll(const std::vector<FileEntry>& files,
                         const std::unordered_map<std::string, FileBufferID>& numbers,
                         const std::function<bool()>& stop, Outcome& outcome) {
    registry_.beginBatch();
    for (const FileEntry& file : files) {
        if (stop()) break;
        add(file, numbers.at(file.path), outcome);
    }
    for (const std::string& path : registry_.endBatch()) {
        LOG(ERROR) << "file " << inQuotes(path)
                   << " is not served: the log above says why; a reload (SIGHUP) tries it again";
        std::erase_if(files_, [&](const Entry& entry) { return entry.file.path == path; });
        --outcome.added;
        ++outcome.failed;
        outcome.failures.emplace_back(path, "it could not be published");
    }
}

void ServedFiles::remove(const std::string& path, Outcome& outcome) {
    if (!registry_.remove(path)) {
        LOG(ERROR) << "file " << inQuotes(path)
                   << " could not be taken back; a reload (SIGHUP) tries it again";
        ++outcome.failed;
        outcome.failures.emplace_back(path, "it could not be taken back");
        return;
    }
    std::erase_if(files_, [&](const Entry& entry) { return entry.file.path == path; });
    LOG(INFO) << "file " << inQuotes(path) << " is served no more";
    ++outcome.removed;
}

void ServedFiles::add(const FileEntry& file, FileBufferID number, Outcome& outcome) {
    // One that could not be taken back has been counted.
    if (std::any_of(files_.begin(), files_.end(),
                    [&](const Entry& entry) { return entry.file.path == file.path; })) {
        return;
    }
    Result<> mounted = file.mount.empty() ? Result<>() : checkMounted(file.mount);
    Result<uint64_t> size = !mounted.ok() ? Result<uint64_t>(mounted.error())
                            : file.size   ? Result<uint64_t>(*file.size)
                                          : physicalSize(file.path);
    const bool isFree = !used_.contains(number);
    const std::optional<FileBufferID> wanted = isFree ? std::optional(number) : std::nullopt;
    Result<FileBufferID> id =
        size.ok() ? registry_.add(file.path, size.value(), {file.readOnly, file.pathCheck}, wanted)
                  : Result<FileBufferID>(size.error());
    if (!id.ok()) {
        LOG(ERROR) << "file " << inQuotes(file.path) << " is not served: " << id.error().message
                   << "; a reload (SIGHUP) tries it again";
        ++outcome.failed;
        outcome.failures.emplace_back(file.path, id.error().message);
        return;
    }
    files_.push_back({file, id.value()});
    used_.insert(id.value());
    LOG(INFO) << "file " << inQuotes(file.path) << " is served with number " << id.value()
              << " and " << size.value() << " bytes" << (file.readOnly ? ", read-only" : "");
    LOG_IF(WARNING, id.value() != number)
        << "file " << inQuotes(file.path) << " has this number until the next start only: its own, "
        << number << ", was in use before. Initiators that know the file find it all the same";
    ++outcome.added;
}

}  // namespace mooncake::file_server
