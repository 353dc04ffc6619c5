// SPDX-License-Identifier: Apache-2.0
// What the store consists of, as its directory tells.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "directory.h"

namespace mooncake::store::tool {

// Keeps `directory`; every question to it has the limit of time.
struct Asked {
    Directory& directory;
    const std::chrono::seconds timeout;

    Deadline deadline() const { return std::chrono::steady_clock::now() + timeout; }
};

struct PoolFile {
    FileInfo info;
    FileUse use;                       // of an active one
    std::vector<Region> open_regions;  // whose writer is gone
};

struct Pool {
    std::vector<ClientInfo> clients;
    std::vector<PoolFile> files;
};

Result<Pool> readPool(const Asked& asked);

// The active or given-up file of that number, written as digits. kInvalid, kNotFound.
Result<FileInfo> findFile(const Asked& asked, const std::string& number);

// Shows every object whose key begins with `prefix`, in order, page by page.
// @param visit  false ends it
Result<> forEachObject(const Asked& asked, const std::string& prefix,
                       const std::function<bool(const std::string&, const ObjectEntry&)>& visit);

}  // namespace mooncake::store::tool
