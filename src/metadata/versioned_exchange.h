// SPDX-License-Identifier: Apache-2.0
// MetadataStorage::exchange on stores that change an entry on condition of its version, which a
// look-up tells, and not of its bytes.
#pragma once

#include <string>

#include "metadata_storage.h"

namespace mooncake {

// `look(Entry* value, Version* version)` reads what lies there; kNotFound counts as an answer.
// `change(const Entry& value, const Version& version)` makes `desired` of it if it is still that
// version; kConflict where it is not. That one may be this process's own doing: the answer to an
// earlier attempt got lost.
template <typename Version, typename Look, typename Change>
MetadataStorage::Result exchangeByVersion(const std::string& key,
                                          const MetadataStorage::Entry& expected,
                                          const MetadataStorage::Entry& desired,
                                          MetadataStorage::Entry* found, const Look& look,
                                          const Change& change) {
    using Outcome = MetadataStorage::Outcome;
    constexpr int kTries = 8;
    for (int tries = 0; tries < kTries; ++tries) {
        MetadataStorage::Entry now;
        Version version;
        MetadataStorage::Result result = look(&now, &version);
        if (!result.ok() && result.outcome != Outcome::kNotFound) return result;
        if (now == desired) return {};
        if (now != expected) {
            *found = std::move(now);
            return MetadataStorage::conflict(key);
        }
        result = change(now, version);
        if (result.outcome == Outcome::kNotFound) return {};  // to be removed, and gone
        if (result.outcome != Outcome::kConflict) return result;
    }
    return {Outcome::kFailed, "the entry '" + key + "' changes all the time"};
}

}  // namespace mooncake
