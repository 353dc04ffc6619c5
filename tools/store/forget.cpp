// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>

#include <algorithm>
#include <ostream>

#include "commands.h"
#include "progress.h"

namespace mooncake::store::tool {
namespace {

constexpr size_t kBatch = 1000;

bool isIn(const Replica& replica, FileNumber file) {
    return std::any_of(replica.begin(), replica.end(),
                       [&](const Extent& extent) { return extent.region.file == file; });
}

struct Loss {
    uint64_t copies = 0;
    uint64_t objects = 0;  // without another copy

    void add(const ObjectEntry& entry, FileNumber file) {
        const auto in_it = std::count_if(entry.replicas.begin(), entry.replicas.end(),
                                         [&](const Replica& one) { return isIn(one, file); });
        copies += static_cast<uint64_t>(in_it);
        objects += static_cast<size_t>(in_it) == entry.replicas.size() ? 1 : 0;
    }
};

// Takes the copies out of the entries.
Result<> drop(const Asked& asked, const std::vector<std::string>& keys, FileNumber file) {
    const auto edited = asked.directory.edit(
        keys,
        [&](std::string_view, ObjectEntry* entry) {
            if (std::erase_if(entry->replicas,
                              [&](const Replica& one) { return isIn(one, file); }) == 0) {
                return Edit::kKeep;
            }
            return entry->replicas.empty() ? Edit::kRemove : Edit::kChange;
        },
        asked.deadline());
    if (!edited) return tl::unexpected(edited.error());
    return {};
}

void print(FileNumber file, const Loss& loss, bool done, bool json, std::ostream& out) {
    if (!json) {
        out << "file " << file << (done ? " is forgotten: " : " would be forgotten with --yes: ")
            << loss.copies << " copies, " << loss.objects << " objects without another one\n";
        return;
    }
    Json::Value report;
    report["file"] = file;
    report["forgotten"] = done;
    report["copies"] = static_cast<Json::UInt64>(loss.copies);
    report["objects"] = static_cast<Json::UInt64>(loss.objects);
    printJson(report, out);
}

}  // namespace

Result<bool> forget(const Asked& asked, const CommandLine& line, Output& output) {
    const auto file = findFile(asked, line.arguments[0]);
    if (!file) return tl::unexpected(file.error());
    // First, so that nobody puts anything there any more. Repeated, it does nothing.
    if (line.yes) {
        if (auto given_up = asked.directory.giveUpFile(file->number, asked.deadline()); !given_up) {
            return tl::unexpected(given_up.error());
        }
    }
    Loss loss;
    std::vector<std::string> keys;
    Result<> dropped;
    Progress progress(output, "objects looked at:", 0);
    const auto listed =
        forEachObject(asked, "", [&](const std::string& key, const ObjectEntry& entry) {
            progress.add(1);
            const uint64_t before = loss.copies;
            loss.add(entry, file->number);
            if (line.yes && loss.copies != before) keys.push_back(key);
            if (keys.size() == kBatch) {
                dropped = drop(asked, keys, file->number);
                keys.clear();
            }
            return dropped.has_value();
        });
    if (!listed) return tl::unexpected(listed.error());
    if (line.yes && dropped) dropped = drop(asked, keys, file->number);
    if (!dropped) return tl::unexpected(dropped.error());
    print(file->number, loss, line.yes, line.json, output.out);
    return line.yes;
}

}  // namespace mooncake::store::tool
