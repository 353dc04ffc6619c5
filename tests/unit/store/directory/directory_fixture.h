// SPDX-License-Identifier: Apache-2.0
// For tests of what every directory promises: each runs on all of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "backends.h"

namespace mooncake::store::test {

class DirectoryTest : public testing::TestWithParam<const char*> {
 protected:
    DirectoryTest() : backend(makeBackend(GetParam())) {}
    std::string address() const { return backend->address(); }

    const std::unique_ptr<Backend> backend;
};

inline FileInfo infoOf(Directory& directory, FileNumber file) {
    const auto files = directory.files(soon());
    EXPECT_TRUE(files) << files.error().message;
    for (const FileInfo& info : *files) {
        if (info.number == file) return info;
    }
    return {};
}

inline Region regionOf(Directory& directory, RegionId id) {
    const auto regions = directory.regions(id.file, soon());
    EXPECT_TRUE(regions) << regions.error().message;
    for (const Region& region : *regions) {
        if (region.id == id) return region;
    }
    return {};
}

inline uint32_t freeIn(Directory& directory, FileNumber file) {
    const auto free = directory.freeRegions(soon());
    EXPECT_TRUE(free) << free.error().message;
    for (const FreeRegions& one : *free) {
        if (one.file == file) return one.clean;
    }
    return ~0u;
}

}  // namespace mooncake::store::test
