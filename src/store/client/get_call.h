// SPDX-License-Identifier: Apache-2.0
// Getting a batch of objects.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <unordered_map>
#include <vector>

#include "client_parts.h"
#include "mooncake_store/types.h"

namespace mooncake::store {

// Of one call; one thread. Reads what the entries say, all objects in one submission, and compares.
// Where the bytes are not right the entry is looked up anew: one that has changed is read once
// more, one that has gone is a miss. Of one that is the same the copy is read into memory of this
// call's own: where it is not right there either it is bad, and is taken out of the entry.
// After that, and where a node does not answer, the next copy is read.
//
// Where every copy is asked for, the next one is read after one that is right, too.
class GetCall {
 public:
    struct Item {
        const std::string* key = nullptr;
        std::span<const Slice> slices;
        // What is known of the object, or null: it is looked up then.
        EntryPtr entry = nullptr;
        // Not null: every copy is read, and this counts what was found. Nothing is remembered of
        // it, and the regions do not count as read.
        CopyCounts* copies = nullptr;
        // What came of it: the object's size in bytes.
        tl::expected<uint64_t, ErrorCode> result = tl::unexpected(ErrorCode::INTERNAL_ERROR);
    };

    GetCall(ClientParts& parts, Deadline deadline) : parts_(parts), deadline_(deadline) {}

    void run(std::span<Item> items);

 private:
    // One object that is asked for.
    struct Work {
        Item* item = nullptr;
        uint64_t room = 0;        // bytes of the slices
        uint32_t tried = 0;       // copies that are of no use, a bit for each
        size_t copy = 0;          // that is read
        bool is_suspect = false;  // its bytes are not those of the entry
        bool was_right = false;   // they are in the file
        unsigned look_ups = 0;    // in this call
        unsigned returns = 0;     // of nodes, elsewhere
        bool has_ended = false;
        // What was seen of copies that are of no use.
        bool was_damaged = false;
        bool was_evicted = false;
        bool was_silent = false;
        bool has_dropped = false;  // a copy, out of the entry
        std::optional<ErrorCode> directory_error;
        size_t first_extent = 0;  // of the copy that is read, in extents_

        bool isLeftOut(size_t number) const { return (tried >> number & 1U) != 0; }
        void leaveOut(size_t number) { tried |= 1U << number; }
        void takeIn(size_t number) { tried &= ~(1U << number); }
        // The copy is no part of the entry any more.
        void forget(size_t number) {
            const uint32_t before = (1U << number) - 1;
            tried = (tried & before) | (tried >> 1 & ~before);
        }
    };
    // A file that objects of this call are in.
    struct Used {
        FileNumber number;
        const KnownFile* file;
        std::optional<Way> way;
        uint64_t bytes = 0;  // that are on their way from it
    };

    void start(Item& item);
    void remember();
    // Takes what the directory says.
    // @param has_others  whether other objects are read without it
    void lookUp(const std::vector<Work*>& works, bool has_others);
    void takeEntry(Work& work, std::optional<ObjectEntry> entry);
    void judgeSuspect(Work& work);
    // The copy to read, with its extents; false where there is none.
    bool choose(Work& work);
    bool prepare(Work& work, size_t copy);
    void read(const std::vector<Work*>& works);
    void afterErrors(const std::vector<Work*>& works);
    void conclude(Work& work);

    bool leadsToFile(FileNumber file);
    std::optional<bool> isEvicted(const Replica& replica);
    std::optional<bool> isRight(const Replica& copy);
    bool takeOut(Work& work);
    bool dropReplica(Work& work);
    bool refreshFiles();
    const KnownFile* find(FileNumber file);
    Used* use(FileNumber file);

    void hit(Work& work);
    void end(Work& work, ErrorCode code, uint64_t ClientStatistics::*cause);

    ClientParts& parts_;
    const Deadline deadline_;
    uint64_t mark_ = 0;  // of the cache, before the last look-up
    std::shared_ptr<const FileMap> files_;
    std::vector<std::shared_ptr<const FileMap>> files_before_;  // used_ may point there
    bool has_refreshed_ = false;
    std::vector<Work> works_;
    std::vector<ExtentIo> extents_;  // of one round
    std::vector<Used> used_;         // the same; seldom more than a few
    uint64_t hits_ = 0;              // the same
    uint64_t hit_bytes_ = 0;
    std::map<FileNumber, bool> leads_there_;
    std::map<FileNumber, std::unordered_map<RegionIndex, Generation>> generations_;
    std::vector<RegionId> touched_;
};

}  // namespace mooncake::store
