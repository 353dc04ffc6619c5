// SPDX-License-Identifier: Apache-2.0
#include "number_plan.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

namespace mooncake::file_server {
namespace {

constexpr FileBufferID kFirst = 4096;
constexpr FileBufferID kLast = TransferEngine::kMaxChosenFileID;

// FNV-1a. It may never change: all numbers would.
uint64_t hashOf(std::string_view path) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const unsigned char byte : path) hash = (hash ^ byte) * 0x100000001b3;
    return hash;
}

}  // namespace

std::unordered_map<std::string, FileBufferID> planNumbers(const std::vector<FileEntry>& files) {
    std::unordered_map<std::string, FileBufferID> numbers;
    std::unordered_set<FileBufferID> taken;
    std::vector<std::string_view> others;
    for (const FileEntry& file : files) {
        if (file.id) {
            numbers[file.path] = *file.id;
            taken.insert(*file.id);
        } else {
            others.push_back(file.path);
        }
    }
    std::sort(others.begin(), others.end());
    for (const std::string_view path : others) {
        auto number = static_cast<FileBufferID>(kFirst + hashOf(path) % (kLast - kFirst + 1));
        while (!taken.insert(number).second) number = number == kLast ? kFirst : number + 1;
        numbers[std::string(path)] = number;
    }
    return numbers;
}

}  // namespace mooncake::file_server
