// SPDX-License-Identifier: Apache-2.0
// Putting a batch of objects.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "client_parts.h"
#include "mooncake_store/replica.h"
#include "mooncake_store/types.h"
#include "placer.h"
#include "region_writer.h"

namespace mooncake::store {

// Of one call; one thread. Bytes and their table pages are written side by side, then the entries
// are committed. What could not be written is written once more elsewhere.
class PutCall {
 public:
    struct Item {
        const std::string* key = nullptr;
        std::span<const Slice> slices;
        tl::expected<void, ErrorCode> result = tl::unexpected(ErrorCode::INTERNAL_ERROR);
    };

    // @param replaces  whether what is there under a key is replaced
    PutCall(ClientParts& parts, const ReplicateConfig& config, bool replaces, Deadline deadline);

    // Of a key that is there several times the last one counts.
    void run(std::span<Item> items);

 private:
    struct Work {
        Item* item;
        uint64_t size = 0;
        uint64_t put_id = 0;
        std::vector<size_t> copies;  // in the writer
        ObjectEntry entry;
        bool has_ended = false;
        ErrorCode failure = ErrorCode::WRITE_FAIL;  // of the last attempt
    };
    using Works = std::span<Work*>;

    void start(std::span<Item> items);
    void leaveOutExisting();
    void lookAgain();
    // One attempt. @return how many of them, from the first on, it was made for
    size_t attempt(Works works);
    bool layOut(RegionWriter& writer, Placer& placer, Work& work, bool may_wait);
    Result<> layOutCopy(RegionWriter& writer, Placer& placer, size_t copy, const KnownFile* file,
                        std::vector<const KnownFile*>* used);
    void gather(RegionWriter& writer, Work& work);
    ErrorCode whyNotWritten(const RegionWriter& writer, const Work& work) const;
    void commit(RegionWriter& writer, Works works);
    void findOut(RegionWriter& writer, const std::vector<Work*>& works, const Error& error);
    void stored(RegionWriter& writer, Work& work);
    void existed(Work& work);
    void failed(Work& work, ErrorCode code);

    ClientParts& parts_;
    const ReplicateConfig& config_;
    const bool replaces_;
    const Deadline deadline_;
    const uint8_t flags_;
    std::shared_ptr<const FileMap> files_;  // of the last attempt
    std::vector<Work> works_;
    std::unordered_map<std::string_view, size_t> last_of_key_;  // number of the item
    std::set<FileNumber> broken_;                               // files that could not be written
    bool may_blame_ = true;                                     // for the last attempt's failures
    std::optional<Deadline> patience_;                          // while there is no room
    uint64_t mark_ = 0;                                         // of the cache, before the commit
};

}  // namespace mooncake::store
