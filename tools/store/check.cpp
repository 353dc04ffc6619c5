// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>

#include <algorithm>
#include <map>
#include <ostream>

#include "commands.h"
#include "progress.h"
#include "stale_entry.h"

namespace mooncake::store::tool {
namespace {

enum class Level { kOk, kNote, kWarning, kFailure };

struct Line {
    Level level;
    std::string text;
};

const char* nameOf(Level level) {
    switch (level) {
        case Level::kOk:
            return "ok";
        case Level::kNote:
            return "note";
        case Level::kWarning:
            return "warn";
        case Level::kFailure:
            break;
    }
    return "fail";
}

Level levelOf(Finding::Severity severity) {
    switch (severity) {
        case Finding::Severity::kNote:
            return Level::kNote;
        case Finding::Severity::kWarning:
            return Level::kWarning;
        case Finding::Severity::kError:
            break;
    }
    return Level::kFailure;
}

void lookAtFiles(const Pool& pool, std::vector<Line>* lines) {
    size_t served = 0;
    for (const PoolFile& file : pool.files) {
        const std::string name = "file " + std::to_string(file.info.number);
        if (file.info.state == FileState::kGivenUp) continue;
        if (file.info.mount) {
            ++served;
            if (file.use.clean == 0) {
                lines->push_back({Level::kNote, name + " has no clean region: puts evict"});
            }
        } else if (file.info.description.scratch) {
            lines->push_back({Level::kNote, name +
                                                " was made for a process that is gone; forget "
                                                "it with 'mooncake_file_store forget --yes " +
                                                std::to_string(file.info.number) + "'"});
        } else {
            lines->push_back({Level::kWarning,
                              name + " (" + file.info.description.uuid.text() +
                                  ") is served by nobody: mount it, or forget it if it will not "
                                  "come back"});
        }
        if (!file.open_regions.empty()) {
            lines->push_back(
                {Level::kNote, name + " has " + std::to_string(file.open_regions.size()) +
                                   " open regions of clients that are gone; the others seal them"});
        }
    }
    if (served == 0) {
        lines->push_back(
            {Level::kWarning, "no file is served: puts fail, and every get is a miss"});
    } else {
        lines->push_back({Level::kOk, std::to_string(served) + " files are served by " +
                                          std::to_string(pool.clients.size()) + " clients"});
    }
}

Result<> lookAtObjects(const Asked& asked, const Pool& pool, Output& output,
                       std::vector<Line>* lines) {
    std::map<FileNumber, FileInfo> files;
    std::map<RegionId, Generation> generations;
    for (const PoolFile& file : pool.files) {
        files[file.info.number] = file.info;
        if (file.info.state != FileState::kActive) continue;
        const auto regions = asked.directory.regions(file.info.number, asked.deadline());
        if (!regions) return tl::unexpected(regions.error());
        for (const Region& region : *regions) generations[region.id] = region.generation;
    }
    const auto info = [&](FileNumber number) -> std::optional<FileInfo> {
        const auto file = files.find(number);
        return file == files.end() ? std::nullopt : std::optional<FileInfo>(file->second);
    };
    const auto is_gone = [&](FileNumber number) { return isGone(info(number)); };
    const auto generation_of = [&](RegionId region) {
        const auto known = generations.find(region);
        return known == generations.end() ? Generation{0} : known->second;
    };
    const auto is_away = [&](const Extent& extent) {
        const auto file = info(extent.region.file);
        return !file || !file->mount;
    };
    uint64_t objects = 0, stale = 0, unreachable = 0;
    const uint64_t damaged_before = asked.directory.statistics().damaged;
    Progress progress(output, "objects looked at:", 0);
    const auto listed = forEachObject(asked, "", [&](const std::string&, const ObjectEntry& entry) {
        progress.add(1);
        ++objects;
        if (isStale(entry, is_gone, generation_of)) {
            ++stale;
        } else if (std::all_of(entry.replicas.begin(), entry.replicas.end(),
                               [&](const Replica& one) {
                                   return std::any_of(one.begin(), one.end(), is_away);
                               })) {
            ++unreachable;
        }
        return true;
    });
    if (!listed) return listed;
    const uint64_t damaged = asked.directory.statistics().damaged - damaged_before;
    lines->push_back({Level::kOk, std::to_string(objects) + " objects"});
    if (unreachable != 0) {
        lines->push_back({Level::kWarning, std::to_string(unreachable) +
                                               " objects cannot be reached: nobody serves their "
                                               "files"});
    }
    if (stale != 0) {
        lines->push_back(
            {Level::kNote, std::to_string(stale) +
                               " entries are of objects that are gone; the next put of their keys "
                               "replaces them"});
    }
    if (damaged != 0) {
        lines->push_back({Level::kFailure, std::to_string(damaged) +
                                               " entries are damaged, and count as none; put "
                                               "those objects again"});
    }
    return {};
}

}  // namespace

Result<bool> check(const Asked& asked, const CommandLine& line, Output& output) {
    std::vector<Line> lines;
    const auto findings = asked.directory.check(asked.deadline());
    if (!findings) return tl::unexpected(findings.error());
    for (const Finding& finding : *findings) {
        lines.push_back({levelOf(finding.severity), finding.text});
    }
    const auto pool = readPool(asked);
    if (!pool) return tl::unexpected(pool.error());
    lookAtFiles(*pool, &lines);
    if (line.objects) {
        if (auto looked = lookAtObjects(asked, *pool, output, &lines); !looked) {
            return tl::unexpected(looked.error());
        }
    }
    Json::Value report;
    report["checks"] = Json::Value(Json::arrayValue);
    bool passed = true;
    for (const Line& one : lines) {
        passed = passed && one.level != Level::kFailure;
        Json::Value json;
        json["result"] = nameOf(one.level);
        json["text"] = one.text;
        report["checks"].append(json);
        if (!line.json) {
            const std::string name = nameOf(one.level);
            output.out << name << std::string(6 - name.size(), ' ') << one.text << '\n';
        }
    }
    if (line.json) printJson(report, output.out);
    return passed;
}

}  // namespace mooncake::store::tool
