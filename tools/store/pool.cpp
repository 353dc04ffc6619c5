// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include <algorithm>

#include "units.h"

namespace mooncake::store::tool {

namespace {

constexpr size_t kPage = 1000;

}  // namespace

Result<Pool> readPool(const Asked& asked) {
    Pool pool;
    auto clients = asked.directory.clients(asked.deadline());
    if (!clients) return tl::unexpected(clients.error());
    pool.clients = std::move(*clients);
    const auto files = asked.directory.files(asked.deadline());
    if (!files) return tl::unexpected(files.error());
    for (const FileInfo& info : *files) {
        PoolFile file;
        file.info = info;
        if (info.state == FileState::kActive) {
            const auto use = asked.directory.usage(info.number, asked.deadline());
            if (!use) return tl::unexpected(use.error());
            file.use = *use;
            const auto regions = asked.directory.regions(info.number, asked.deadline());
            if (!regions) return tl::unexpected(regions.error());
            for (const Region& region : *regions) {
                const bool is_writing = region.state == RegionState::kOpen;
                const bool is_owned = std::any_of(
                    pool.clients.begin(), pool.clients.end(),
                    [&](const ClientInfo& client) { return client.id == region.owner; });
                if (is_writing && !is_owned) file.open_regions.push_back(region);
            }
        }
        pool.files.push_back(std::move(file));
    }
    return pool;
}

Result<FileInfo> findFile(const Asked& asked, const std::string& number) {
    const auto wanted = parseNumber(number, 1);
    if (!wanted) {
        return failed(Failure::kInvalid,
                      "'" + number + "' is no number of a file; status shows them");
    }
    const auto files = asked.directory.files(asked.deadline());
    if (!files) return tl::unexpected(files.error());
    for (const FileInfo& file : *files) {
        if (file.number == *wanted) return file;
    }
    return failed(Failure::kNotFound,
                  "the directory knows no file " + number + "; status shows those that it knows");
}

Result<> forEachObject(const Asked& asked, const std::string& prefix,
                       const std::function<bool(const std::string&, const ObjectEntry&)>& visit) {
    std::string from;
    do {
        const auto page = asked.directory.list(prefix, from, kPage, asked.deadline());
        if (!page) return tl::unexpected(page.error());
        for (const auto& [key, entry] : page->objects) {
            if (!visit(key, entry)) return {};
        }
        from = page->next;
    } while (!from.empty());
    return {};
}

}  // namespace mooncake::store::tool
