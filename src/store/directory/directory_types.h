// SPDX-License-Identifier: Apache-2.0
// What a directory tells and is told.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "boot_clock.h"
#include "ids.h"
#include "object_entry.h"

namespace mooncake::store {

// When a call has to be over.
using Deadline = std::chrono::steady_clock::time_point;

// What is fixed about a file; its superblock says the same.
struct FileDescription {
    Uuid uuid;
    uint64_t size = 0;         // bytes
    uint64_t region_size = 0;  // bytes
    uint32_t regions = 0;      // how many
    bool scratch = false;      // its objects go with its mount

    bool operator==(const FileDescription&) const = default;
};

enum class FileState : uint8_t {
    kActive = 1,
    kGivenUp = 2,  // it will not come back; its number is nobody's, for ever
};

// Who serves the file, and how it is reached.
struct Mount {
    ClientId client = 0;
    std::string node;      // name of the machine, for placement: replicas go to different ones
    std::string segment;   // name of the engine's segment
    uint64_t file_id = 0;  // of the file within the segment
    std::string path;      // on its machine

    bool operator==(const Mount&) const = default;
};

struct FileInfo {
    FileNumber number = 0;
    FileDescription description;
    FileState state = FileState::kActive;
    std::optional<Mount> mount;  // none: unreachable at the moment

    bool operator==(const FileInfo&) const = default;
};

// clean -> open (one writer) -> sealed -> cleaning -> clean. A region that nobody ever took is
// clean, of generation 0.
enum class RegionState : uint8_t { kClean = 1, kOpen = 2, kSealed = 3, kCleaning = 4 };

// What a region held when it was sealed.
struct RegionUse {
    uint64_t bytes = 0;
    uint64_t objects = 0;

    bool operator==(const RegionUse&) const = default;
};

struct Region {
    RegionId id;
    RegionState state = RegionState::kClean;
    Generation generation = 0;
    ClientId owner = 0;  // of an open one and of one that is being cleaned
    RegionUse use;       // of a sealed one
    // Grows with every touch and with every change of state, over all regions of the directory: the
    // region with the least was read longest ago. No clock.
    uint64_t last_used = 0;

    bool operator==(const Region&) const = default;
};

struct ClientInfo {
    ClientId id = 0;
    std::string node;

    bool operator==(const ClientInfo&) const = default;
};

// Of a file, counted from its regions' records, so that it is right whatever has crashed.
struct FileUse {
    uint32_t clean = 0;  // never taken ones included
    uint32_t open = 0;
    uint32_t sealed = 0;
    uint32_t cleaning = 0;
    RegionUse use;  // of the sealed ones

    bool operator==(const FileUse&) const = default;
};

struct FreeRegions {
    FileNumber file = 0;
    uint32_t clean = 0;

    bool operator==(const FreeRegions&) const = default;
};

struct Lease {
    ClientId client = 0;  // 0: not joined, or the lease is lost
    // Until then the lease holds for certain, by this machine's clock. A writer submits nothing
    // later.
    BootClock::time_point end;

    bool holds() const { return client != 0 && BootClock::now() < end; }
};

// An entry to be set.
struct Change {
    enum class When : uint8_t {
        kAbsent,     // no entry is there, or none whose object can ever be read
        kUnchanged,  // the entry there equals `before`
        kAlways,     // whatever is there
    };
    std::string key;
    ObjectEntry entry;
    When when = When::kAbsent;
    ObjectEntry before = {};  // for kUnchanged
};

enum class ChangeOutcome : uint8_t {
    kDone,
    kExists,      // kAbsent: another entry is there, and stays
    kChanged,     // kUnchanged: what is there is another entry, or none
    kRegionLost,  // a region of the entry's new extents is not this client's, or of another
                  // generation
};

using ChangeOutcomes = std::vector<ChangeOutcome>;

// What an Editor has decided on an entry.
enum class Edit : uint8_t { kKeep, kChange, kRemove };

using KeyedEntry = std::pair<std::string, ObjectEntry>;

struct Page {
    std::vector<KeyedEntry> objects;  // in order of their keys' bytes
    std::string next;                 // where the next page begins; empty: this was the last one
};

// What has changed since the last time. Files are told of as they are now.
struct Changes {
    bool complete =
        false;  // `files` are all there are, and regions may have changed that are not named
    std::vector<FileInfo> files;
    std::vector<Region> regions;

    bool empty() const { return !complete && files.empty() && regions.empty(); }
};

struct Finding {
    enum class Severity : uint8_t { kNote, kWarning, kError };
    Severity severity = Severity::kNote;
    std::string text;  // with the remedy, where there is something to do
};

struct DirectoryStatistics {
    uint64_t round_trips = 0;  // requests to the server, or transactions of the database
    uint64_t repeats = 0;      // of these: repetitions after a failure
    uint64_t failovers = 0;    // changes of the server that is asked
    uint64_t looked_up = 0;    // keys
    uint64_t found = 0;        // of these: there was an entry
    uint64_t changed = 0;      // entries set
    uint64_t refused = 0;      // entries not set: kExists, kChanged, kRegionLost
    uint64_t removed = 0;      // entries removed
    uint64_t groups = 0;       // gathered commits
    uint64_t grouped = 0;      // calls in them
    uint64_t damaged = 0;      // entries that could not be read
    uint64_t timeouts = 0;     // calls that reached their limit of time
    uint64_t renewals = 0;     // of the lease
    uint64_t leases_lost = 0;
};

}  // namespace mooncake::store
