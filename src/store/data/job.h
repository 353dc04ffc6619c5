// SPDX-License-Identifier: Apache-2.0
// One call of get or put: its items cut into pieces, and those on their way.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "checksum.h"
#include "data_path.h"
#include "flight.h"
#include "pieces.h"

namespace mooncake::store {

// Used by one thread at a time, for one call after the other, without giving its memory back.
class DataPath::Job {
 public:
    Job(TransferEngine& engine, StagingPool& staging, const DataOptions& options);

    void get(std::span<GetItem> items, TimePoint until);
    void put(std::span<PutItem> items, Describer& describer, TimePoint until);

    // Of the last call.
    uint64_t directBytes() const { return direct_bytes_; }
    uint64_t stagedBytes() const { return staged_bytes_; }
    uint64_t requests() const { return requests_; }

 private:
    static constexpr uint32_t kNone = UINT32_MAX;

    // The pieces of an extent are submitted in order, so those that are on their way or have ended
    // come before the others.
    struct ExtentState {
        Place place;
        Outcome* outcome = nullptr;  // of the item
        uint64_t length = 0;
        uint32_t first_piece = 0;
        uint32_t end_piece = 0;
        uint32_t next_piece = 0;   // the first one that is not in the checksum yet
        uint32_t running = kNone;  // which running checksum, where it has several pieces
        uint32_t same_as = kNone;  // an extent with the same bytes, whose checksum counts
        Checksum128 checksum;
    };

    template <class Item>
    void plan(std::span<Item> items);
    template <class Item>
    static bool fits(const Item& item);
    template <class Item>
    static bool sameBytes(const Item& a, const Item& b);

    template <class Submitted, class Ended>
    void run(TransferRequest::OpCode op, TimePoint until, const Submitted& submitted,
             const Ended& ended);
    void submit(TransferRequest::OpCode op, TimePoint until);
    bool hasRoom(const Piece& piece) const;
    void giveUp();
    void giveBack(Piece& piece);

    void arrived(uint32_t piece, bool moved);
    void takeIn(ExtentState& extent, uint32_t piece);
    void gather(Piece& piece);
    void checkSubmitted(uint32_t from);
    Checksum128 checksumFromMemory(const ExtentState& extent) const;
    void publishChecksums(std::span<PutItem> items);
    void sendPages(std::span<PageWrite> pages, TimePoint until) noexcept;

    TransferEngine& engine_;
    StagingPool& staging_;
    const DataOptions options_;

    Flight flight_;
    Flight page_flight_;
    std::span<PageWrite> pages_;
    std::vector<Piece> pieces_;
    std::vector<uint8_t> ended_;  // of each piece
    std::vector<ExtentState> extents_;
    std::vector<RunningChecksum> running_;
    uint32_t next_ = 0;        // the first piece that was not submitted
    uint32_t submitting_ = 0;  // the first one of the last submission
    size_t in_flight_ = 0;     // bytes
    uint64_t staging_returns_ = 0;

    uint64_t direct_bytes_ = 0;
    uint64_t staged_bytes_ = 0;
    uint64_t requests_ = 0;
};

}  // namespace mooncake::store
