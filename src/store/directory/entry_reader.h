// SPDX-License-Identifier: Apache-2.0
// Entries out of a directory's bytes, some of which may be damaged.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "counters.h"
#include "directory.h"

namespace mooncake::store {

// For any thread.
class EntryReader {
 public:
    // @param counters  which count what is damaged
    explicit EntryReader(Counters* counters) : counters_(counters) {}

    // None for a damaged entry, which counts as none.
    std::optional<ObjectEntry> decode(std::string_view key, std::string_view bytes) const;

    struct Edited {
        Edit edit = Edit::kKeep;
        std::string bytes;  // of a changed one
    };
    // What becomes of the entry. Of one that cannot be read nobody can tell what it says: it goes.
    Edited edit(std::string_view key, std::string_view bytes,
                const Directory::Editor& editor) const;

 private:
    Counters* const counters_;
};

}  // namespace mooncake::store
