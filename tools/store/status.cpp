// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>

#include <ostream>

#include "commands.h"
#include "table.h"
#include "units.h"

namespace mooncake::store::tool {
namespace {

struct Space {
    uint64_t bytes = 0;  // that objects can have
    uint64_t used = 0;   // when the regions were sealed; of those that are written: all
    uint64_t free = 0;   // in clean regions
    uint64_t objects = 0;
};

Space spaceOf(const PoolFile& file) {
    const uint64_t region = file.info.description.region_size;
    Space space;
    if (file.info.state != FileState::kActive) return space;
    space.bytes = region * file.info.description.regions;
    space.used = file.use.use.bytes + region * file.use.open;
    space.free = region * file.use.clean;
    space.objects = file.use.use.objects;
    return space;
}

std::string stateOf(const FileInfo& file) {
    if (file.state == FileState::kGivenUp) return "given up";
    return file.mount ? "served" : "unreachable";
}

Json::Value number(uint64_t value) {
    return Json::Value(static_cast<Json::UInt64>(value));
}

void print(const Pool& pool, const Uuid& id, std::ostream& out) {
    out << "store " << id.text() << ", " << pool.clients.size() << " clients\n\n";
    Table clients({{"CLIENT"}, {"NODE"}});
    for (const ClientInfo& client : pool.clients) {
        clients.add({std::to_string(client.id), client.node});
    }
    if (!clients.empty()) {
        clients.print(out);
        out << '\n';
    }
    using Align = Table::Align;
    Table files({{"FILE", Align::kRight},
                 {"STATE"},
                 {"NODE"},
                 {"BYTES", Align::kRight},
                 {"USED", Align::kRight},
                 {"FREE", Align::kRight},
                 {"REGIONS", Align::kRight},
                 {"CLEAN", Align::kRight},
                 {"OPEN", Align::kRight},
                 {"OBJECTS", Align::kRight},
                 {"PATH"}});
    Space all;
    for (const PoolFile& file : pool.files) {
        const Space space = spaceOf(file);
        const auto& mount = file.info.mount;
        all.bytes += space.bytes;
        all.used += space.used;
        all.free += space.free;
        all.objects += space.objects;
        files.add({std::to_string(file.info.number), stateOf(file.info), mount ? mount->node : "-",
                   bytesText(space.bytes), bytesText(space.used), bytesText(space.free),
                   std::to_string(file.info.description.regions), std::to_string(file.use.clean),
                   std::to_string(file.use.open), std::to_string(space.objects),
                   mount ? mount->path : file.info.description.uuid.text()});
    }
    if (files.empty()) {
        out << "no file was ever mounted\n";
        return;
    }
    files.print(out);
    out << "\n"
        << bytesText(all.bytes) << " in all, " << bytesText(all.used) << " used, "
        << bytesText(all.free) << " in clean regions, " << all.objects
        << " objects in sealed regions\n";
}

Json::Value jsonOf(const PoolFile& file) {
    const FileDescription& description = file.info.description;
    const Space space = spaceOf(file);
    Json::Value json;
    json["number"] = file.info.number;
    json["uuid"] = description.uuid.text();
    json["state"] = stateOf(file.info);
    json["scratch"] = description.scratch;
    json["file_bytes"] = number(description.size);
    json["region_bytes"] = number(description.region_size);
    json["regions"] = description.regions;
    json["clean_regions"] = file.use.clean;
    json["open_regions"] = file.use.open;
    json["sealed_regions"] = file.use.sealed;
    json["cleaning_regions"] = file.use.cleaning;
    json["bytes"] = number(space.bytes);
    json["used_bytes"] = number(space.used);
    json["free_bytes"] = number(space.free);
    json["sealed_objects"] = number(space.objects);
    json["mount"] = Json::Value();
    if (const auto& mount = file.info.mount) {
        json["mount"]["client"] = number(mount->client);
        json["mount"]["node"] = mount->node;
        json["mount"]["segment"] = mount->segment;
        json["mount"]["path"] = mount->path;
    }
    return json;
}

}  // namespace

Result<bool> status(const Asked& asked, const CommandLine& line, Output& output) {
    const auto pool = readPool(asked);
    if (!pool) return tl::unexpected(pool.error());
    if (!line.json) {
        print(*pool, asked.directory.storeId(), output.out);
        return true;
    }
    Json::Value json;
    json["store"] = asked.directory.storeId().text();
    json["clients"] = Json::Value(Json::arrayValue);
    for (const ClientInfo& client : pool->clients) {
        Json::Value one;
        one["id"] = number(client.id);
        one["node"] = client.node;
        json["clients"].append(one);
    }
    json["files"] = Json::Value(Json::arrayValue);
    for (const PoolFile& file : pool->files) json["files"].append(jsonOf(file));
    printJson(json, output.out);
    return true;
}

}  // namespace mooncake::store::tool
