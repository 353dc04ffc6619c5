// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>

#include <ostream>
#include <set>

#include "commands.h"
#include "key_text.h"
#include "table.h"
#include "units.h"

namespace mooncake::store::tool {
namespace {

// A table of so many objects at a time, so that any number of them can be shown.
constexpr size_t kRows = 1000;

std::set<FileNumber> filesOf(const ObjectEntry& entry) {
    std::set<FileNumber> files;
    for (const Replica& replica : entry.replicas) {
        for (const Extent& extent : replica) files.insert(extent.region.file);
    }
    return files;
}

const char* pinOf(const ObjectEntry& entry) {
    if ((entry.flags & kHardPin) != 0) return "hard";
    return (entry.flags & kSoftPin) != 0 ? "soft" : "-";
}

class Rows {
 public:
    explicit Rows(std::ostream& out) : out_(out) {}

    void add(const std::string& key, const ObjectEntry& entry) {
        std::string files;
        for (const FileNumber file : filesOf(entry)) {
            files += (files.empty() ? "" : ",") + std::to_string(file);
        }
        rows_.push_back({std::to_string(entry.size), std::to_string(entry.replicas.size()),
                         pinOf(entry), timeText(entry.time_ms), files, keyText(key)});
        if (rows_.size() == kRows) flush();
    }

    void flush() {
        if (rows_.empty()) return;
        using Align = Table::Align;
        Table table({{"BYTES", Align::kRight},
                     {"COPIES", Align::kRight},
                     {"PIN"},
                     {"PUT"},
                     {"FILES"},
                     {"KEY"}});
        for (auto& row : rows_) table.add(std::move(row));
        table.print(out_);
        rows_.clear();
    }

 private:
    std::ostream& out_;
    std::vector<std::vector<std::string>> rows_;
};

std::string onOneLine(const Json::Value& json) {
    Json::StreamWriterBuilder builder;
    builder["indentation"] = "";
    return Json::writeString(builder, json);
}

std::string lineOf(const std::string& key, const ObjectEntry& entry) {
    Json::Value json;
    json["key"] = keyText(key);
    json["bytes"] = static_cast<Json::UInt64>(entry.size);
    json["put"] = timeText(entry.time_ms);
    json["soft_pin"] = (entry.flags & kSoftPin) != 0;
    json["hard_pin"] = (entry.flags & kHardPin) != 0;
    json["copies"] = Json::Value(Json::arrayValue);
    for (const Replica& replica : entry.replicas) {
        Json::Value extents(Json::arrayValue);
        for (const Extent& extent : replica) {
            Json::Value one;
            one["file"] = extent.region.file;
            one["region"] = extent.region.index;
            one["generation"] = static_cast<Json::UInt64>(extent.generation);
            one["offset"] = static_cast<Json::UInt64>(extent.offset);
            one["bytes"] = static_cast<Json::UInt64>(extent.length);
            extents.append(one);
        }
        json["copies"].append(extents);
    }
    return onOneLine(json);
}

}  // namespace

Result<bool> list(const Asked& asked, const CommandLine& line, Output& output) {
    const auto prefix = parseKey(line.arguments.empty() ? "" : line.arguments.front());
    if (!prefix) {
        return failed(Failure::kInvalid,
                      "the prefix has a backslash that stands for nothing; "
                      "write \"\\\\\", or \"\\x\" and two digits");
    }
    uint64_t count = 0;
    Rows rows(output.out);
    if (line.json) output.out << "{\"schema\": " << kJsonSchema << ", \"objects\": [";
    const auto listed =
        forEachObject(asked, *prefix, [&](const std::string& key, const ObjectEntry& entry) {
            if (!line.json) {
                rows.add(key, entry);
            } else {
                output.out << (count == 0 ? "\n" : ",\n") << lineOf(key, entry);
            }
            return ++count != line.limit;
        });
    rows.flush();
    if (!listed) {
        if (!line.json) return tl::unexpected(listed.error());
        // What was begun has to end as JSON.
        const Error& error = listed.error();
        output.out << "\n], \"error\": "
                   << onOneLine(errorJson(std::string(toString(error.failure)), error.message))
                   << "}\n";
        return false;
    }
    if (line.json) output.out << "\n]}\n";
    if (!line.json && count == 0) output.out << "no objects\n";
    return true;
}

}  // namespace mooncake::store::tool
