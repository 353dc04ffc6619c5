// SPDX-License-Identifier: Apache-2.0
// The regions that this client is filling.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "client_counters.h"
#include "directory.h"
#include "file_table.h"
#include "region_fill.h"

namespace mooncake::store {

// A region that this client may write to.
struct OpenRegion {
    explicit OpenRegion(const KnownFile& in)
        : uuid(in.info.description.uuid),
          fill(std::make_shared<RegionFill>(in.geometry.region_bytes)) {}

    Region region;    // as it was taken, before anybody has it
    const Uuid uuid;  // of its file
    const std::shared_ptr<RegionFill> fill;
    // What has been committed.
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> objects{0};

    // Under the mutex of OpenRegions.
    unsigned users = 0;
    bool follows_another = false;  // that was filled
    bool has_asked = false;        // for the next one
    bool is_retired = false;       // it is given to nobody any more
    bool is_sealing = false;       // somebody is about to seal it
    uint64_t last_look = 0;        // which one has tried to seal it last
    std::chrono::steady_clock::time_point last_used;
};

// One open region of a file for each kind of pin, which threads share: so objects that are evicted
// together lie together. When it is half full the next one is taken, so that no put waits for that.
// A region that is retired is sealed when its last user has left, since entries are committed only
// while it is open.
//
// Thread rule: any thread.
class OpenRegions {
 public:
    // Keeps the region open while it lives.
    class Use {
     public:
        Use() = default;
        Use(OpenRegions* regions, std::shared_ptr<OpenRegion> region)
            : regions_(regions), region_(std::move(region)) {}
        Use(Use&&) noexcept = default;
        Use& operator=(Use&& other) noexcept {
            std::swap(regions_, other.regions_);
            std::swap(region_, other.region_);
            return *this;
        }
        ~Use() {
            if (region_) regions_->leave(*region_);
        }
        OpenRegion* operator->() const { return region_.get(); }
        OpenRegion& operator*() const { return *region_; }

     private:
        OpenRegions* regions_ = nullptr;
        std::shared_ptr<OpenRegion> region_;
    };

    // @param attend  called, by any thread, when there is something to take ahead or to seal, or a
    //     region was taken
    OpenRegions(Directory& directory, ClientCounters& counters, std::function<void()> attend)
        : directory_(directory), counters_(counters), attend_(std::move(attend)) {}

    // A region of the file for objects with these pins; one is taken where none is open.
    // @return kNoSpace where none is clean, kLeaseLost where this is no client any more
    Result<Use> use(const KnownFile& file, uint8_t pins, Deadline deadline);
    // Nothing more fits into it, or the directory says that it may not be this client's any more.
    void retire(OpenRegion& region);

    // Takes the regions that will soon be needed.
    void takeAhead(Deadline deadline);
    // Seals what was retired and has no users.
    void sealRetired(Deadline deadline);
    // Seals what this client was given without an answer, where that may have been.
    void sealUnknown(Deadline deadline);
    // Retires what nobody has used for so long.
    void retireIdle(std::chrono::milliseconds idle);
    // Those of one file, or of all (0): nothing is open any more. Nobody may use them.
    void sealAll(FileNumber file, Deadline deadline);

 private:
    using RegionPtr = std::shared_ptr<OpenRegion>;
    using Lock = std::unique_lock<std::mutex>;

    struct Slot {
        bool is_taking = false;    // somebody is taking one
        bool is_in_doubt = false;  // one may have been taken, and nobody has it
        RegionPtr open;
        RegionPtr next;                   // taken ahead
        std::optional<KnownFile> wanted;  // a next one, in this file
    };

    static bool needsAnother(OpenRegion& region, const KnownFile& file);
    Result<RegionPtr> take(Slot& slot, const KnownFile& file, std::list<RegionPtr>* fresh,
                           Lock& lock, Deadline deadline);
    void leave(OpenRegion& region);
    static void retireLocked(RegionPtr& region);
    bool owns(const OpenRegion& region) const;
    template <class Matches>
    void sealRetired(const Matches& matches, Deadline deadline);
    bool seal(const OpenRegion& region, Deadline deadline) const;
    Result<> sealUnknownOf(FileNumber file, Deadline deadline);

    Directory& directory_;
    ClientCounters& counters_;
    const std::function<void()> attend_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::pair<FileNumber, uint8_t>, Slot> slots_;  // by file and pins
    std::list<RegionPtr> regions_;                          // taken and not sealed
    uint64_t looks_ = 0;                                    // at what is to be sealed
};

}  // namespace mooncake::store
