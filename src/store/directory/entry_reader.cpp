// SPDX-License-Identifier: Apache-2.0
#include "entry_reader.h"

#include <glog/logging.h>

#include "entry_codec.h"

namespace mooncake::store {

std::optional<ObjectEntry> EntryReader::decode(std::string_view key, std::string_view bytes) const {
    auto entry = decodeEntry(key, bytes);
    if (entry) return std::move(*entry);
    counters_->add(&DirectoryStatistics::damaged);
    LOG_EVERY_N(ERROR, 100) << entry.error().message;
    return std::nullopt;
}

EntryReader::Edited EntryReader::edit(std::string_view key, std::string_view bytes,
                                      const Directory::Editor& editor) const {
    auto entry = decode(key, bytes);
    if (!entry) return {Edit::kRemove, {}};
    const Edit edit = editor(key, &*entry);
    return {edit, edit == Edit::kChange ? encodeEntry(key, *entry) : std::string()};
}

}  // namespace mooncake::store
