// SPDX-License-Identifier: Apache-2.0
#include "file_numbers.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace mooncake {

namespace {

constexpr size_t kMaxOthers = 16;

std::vector<std::string> identities(const std::vector<FileNumbers::File>& files) {
    std::vector<std::string> all;
    all.reserve(files.size());
    std::unordered_map<std::string, int> count;
    for (const auto& file : files) {
        all.push_back(file.uuid.empty() ? "path " + file.path + " of " + std::to_string(file.size)
                                        : "uuid " + file.uuid);
        ++count[all.back()];
    }
    for (size_t i = 0; i < files.size(); ++i) {
        if (count[all[i]] == 1) continue;
        all[i] += " as " + std::to_string(files[i].id) + " of " + std::to_string(files[i].size) +
                  " at " + files[i].path;
    }
    return all;
}

}  // namespace

void FileNumbers::assign(std::vector<File>* files) {
    ++records_;
    const std::vector<std::string> identity = identities(*files);
    // New files whose numbers are free come before those that must have another one.
    for (const bool number_is_free : {true, false}) {
        for (size_t i = 0; i < files->size(); ++i) {
            const FileBufferID published = (*files)[i].id;
            if (known_.contains(identity[i]) || used_.contains(published) == number_is_free)
                continue;
            const FileBufferID number = number_is_free ? published : used_.highestFree();
            if (number == 0) continue;
            used_.insert(number);
            known_[identity[i]].number = number;
        }
    }
    std::vector<File> assigned;
    assigned.reserve(files->size());
    for (size_t i = 0; i < files->size(); ++i) {
        File& file = (*files)[i];
        const auto found = known_.find(identity[i]);
        if (found == known_.end()) {
            LOG(ERROR) << "File " << file.id << " ('" << file.path
                       << "') is left out: its segment has used up all numbers";
            continue;
        }
        Known& known = found->second;
        known.seen = records_;
        const FileBufferID published = std::exchange(file.id, known.number);
        file.nsid = 0;
        file.nsid_is_its_too = false;
        if (published != known.number) {
            file.nsid = published;
            auto& others = known.others;
            if (!used_.contains(published)) {
                used_.insert(published);
                if (others.size() == kMaxOthers) others.erase(others.begin());
                others.push_back(published);
            }
            file.nsid_is_its_too =
                std::find(others.begin(), others.end(), published) != others.end();
        }
        assigned.push_back(std::move(file));
    }
    *files = std::move(assigned);
    if (known_.size() > kMaxKnown) forgetOldest();
}

// Half of them, so that this is seldom.
void FileNumbers::forgetOldest() {
    std::vector<std::pair<uint64_t, std::string>> gone;
    for (const auto& [identity, known] : known_) {
        if (known.seen != records_) gone.emplace_back(known.seen, identity);
    }
    std::sort(gone.begin(), gone.end());
    gone.resize(std::min(gone.size(), kMaxKnown / 2));
    for (const auto& [seen, identity] : gone) known_.erase(identity);
}

}  // namespace mooncake
