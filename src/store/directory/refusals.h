// SPDX-License-Identifier: Apache-2.0
// What every directory refuses, in the same words.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "directory_types.h"
#include "entry_codec.h"
#include "error.h"

namespace mooncake::store {

Result<> checkDescription(const FileDescription& description);
// Keys and entries that break the model's rules, or are too large together.
Result<> checkChanges(const std::vector<Change>& changes);

tl::unexpected<Error> noSuchFile(FileNumber file);
tl::unexpected<Error> noSuchRegion(RegionId region);
tl::unexpected<Error> noCleanRegion(FileNumber file);
tl::unexpected<Error> otherDescription(const FileInfo& known);
tl::unexpected<Error> mountedElsewhere(const FileInfo& file);
tl::unexpected<Error> leaseLost(ClientId client);
tl::unexpected<Error> notJoined();
// @param what  "file 3", "a clean region"
Error damagedRecord(const std::string& what);

// Whether the filter lets every extent of a replica pass.
bool passes(const std::optional<ObjectEntry>& entry,
            const std::function<bool(const Extent&)>& filter);

}  // namespace mooncake::store
