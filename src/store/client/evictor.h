// SPDX-License-Identifier: Apache-2.0
// Makes regions clean: those of which nobody has read for longest, and those whose writer is gone.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "client_counters.h"
#include "directory.h"
#include "entry_cache.h"
#include "eviction.h"
#include "file_table.h"
#include "pin_mover.h"
#include "region_table.h"

namespace mooncake::store {

// Thread rule: any thread. Of one file one eviction at a time; the other threads wait for it.
class Evictor {
 public:
    // @param io_bound  how long I/O of a client that is gone may be on its way
    Evictor(Directory& directory, TransferEngine& engine, FileTable& files, EntryCache& cache,
            PinMover& mover, ClientCounters& counters, std::chrono::milliseconds io_bound)
        : directory_(directory),
          engine_(engine),
          files_(files),
          cache_(cache),
          mover_(mover),
          counters_(counters),
          io_bound_(io_bound) {}

    // Makes one region clean, or waits until another thread has.
    // @return kNoSpace where none can be
    Result<> makeRoom(const KnownFile& file, Deadline deadline);
    // Makes as many clean as are to be in reserve, and seals regions of clients that are gone.
    Result<> lookAfter(const KnownFile& file, Deadline deadline);

 private:
    using Clock = std::chrono::steady_clock;

    // What is remembered of a file between two looks.
    struct State {
        bool is_busy = false;
        struct Pins {
            Generation generation;
            PinMover::Pinned pinned;
        };
        std::unordered_map<RegionIndex, Pins> pins;
        struct Since {
            Generation generation;
            Clock::time_point since;
        };
        std::unordered_map<RegionIndex, Since> orphans;     // open, and the writer is gone
        std::unordered_map<RegionIndex, Since> unreadable;  // by their tables
    };
    // A look at all regions of a file.
    struct Look {
        const KnownFile& file;
        State& state;
        std::unordered_map<RegionIndex, Region> regions;
        std::vector<RegionFacts> facts;
        std::vector<Victim> postponed;  // there was no room for their pinned objects
    };

    // One's turn at a file. Without a state: another thread had it, and has ended.
    class Turn {
     public:
        Turn(Evictor& evictor, FileNumber file, Deadline deadline);
        ~Turn();
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        State* state = nullptr;

     private:
        Evictor& evictor_;
    };

    Result<Look> look(const KnownFile& file, State& state, Deadline deadline);
    // @return how many are clean now that were not
    Result<size_t> finishOthers(Look& look, Deadline deadline);
    Result<size_t> evict(Look& look, size_t count, Deadline deadline);
    Result<bool> evictOne(Look& look, const Victim& victim, Deadline deadline);
    Result<> clean(const KnownFile& file, const Region& region, Generation generation,
                   const RegionTable& table, Deadline deadline);
    Result<RegionTable> tableOf(const KnownFile& file, RegionIndex region, Generation generation);
    Result<> sealOrphan(Look& look, const Region& region, Deadline deadline);
    Result<RegionUse> committedIn(const Region& region, const std::vector<TableRecord>& records,
                                  Deadline deadline);
    static bool isLeftOut(const State& state, const Region& region);
    bool leaveOut(Look& look, const Region& region, Deadline deadline);

    Directory& directory_;
    TransferEngine& engine_;
    FileTable& files_;
    EntryCache& cache_;
    PinMover& mover_;
    ClientCounters& counters_;
    const std::chrono::milliseconds io_bound_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::map<FileNumber, State> states_;
};

}  // namespace mooncake::store
