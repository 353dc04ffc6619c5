// SPDX-License-Identifier: Apache-2.0
#include "job.h"

#include <algorithm>
#include <cstring>
#include <exception>

namespace mooncake::store {
namespace {

using std::chrono::steady_clock;

// Copying and checking take turns at this many bytes, which stay in the processor's cache.
constexpr size_t kCacheStep = 16 << 10;

// Many small objects are read in steps of so many requests and bytes at least: the first ones are
// checked while the device goes on with the others.
constexpr size_t kStepRequests = 64;
constexpr size_t kStepBytes = 256 << 10;

constexpr std::chrono::milliseconds kLongestWait(100);

// Calls use(memory, bytes) for the parts of the slices that a piece stands for.
template <class Use>
void forEachPart(const Piece& piece, const Use& use) {
    SliceCursor memory = piece.memory;
    for (size_t left = piece.length; left > 0;) {
        const size_t step = std::min({left, memory.run(), kCacheStep});
        use(memory.address(), step);
        memory.skip(step);
        left -= step;
    }
}

bool failedItem(const Outcome* outcome) {
    return *outcome != Outcome::kOk;
}

}  // namespace

DataPath::Job::Job(TransferEngine& engine, StagingPool& staging, const DataOptions& options)
    : engine_(engine),
      staging_(staging),
      options_(options),
      flight_(engine),
      page_flight_(engine) {}

template <class Item>
bool DataPath::Job::fits(const Item& item) {
    uint64_t room = 0;
    for (const Slice& slice : item.memory) {
        if (slice.ptr == nullptr && slice.size != 0) return false;
        room += slice.size;
    }
    uint64_t bytes = 0;
    for (const ExtentIo& extent : item.extents) {
        if (extent.length == 0 || extent.length > room) return false;
        if (extent.place.offset % kPieceUnit != 0) return false;
        bytes += extent.length;
        if (bytes > room) return false;
    }
    return bytes != 0;
}

template <class Item>
bool DataPath::Job::sameBytes(const Item& a, const Item& b) {
    const auto same_slice = [](const Slice& x, const Slice& y) {
        return x.ptr == y.ptr && x.size == y.size;
    };
    return std::equal(a.memory.begin(), a.memory.end(), b.memory.begin(), b.memory.end(),
                      same_slice) &&
           std::equal(a.extents.begin(), a.extents.end(), b.extents.begin(), b.extents.end(),
                      [](const ExtentIo& x, const ExtentIo& y) { return x.length == y.length; });
}

template <class Item>
void DataPath::Job::plan(std::span<Item> items) {
    pieces_.clear();
    extents_.clear();
    next_ = 0;
    in_flight_ = 0;
    direct_bytes_ = staged_bytes_ = requests_ = 0;
    uint32_t running = 0;
    const Item* before = nullptr;
    for (Item& item : items) {
        item.outcome = fits(item) ? Outcome::kOk : Outcome::kInvalid;
        if (failedItem(&item.outcome)) {
            before = nullptr;
            continue;
        }
        const bool same = before != nullptr && sameBytes(*before, item);
        before = &item;
        SliceCursor memory{item.memory};
        for (const ExtentIo& extent : item.extents) {
            const auto number = static_cast<uint32_t>(extents_.size());
            ExtentState state;
            state.place = extent.place;
            state.outcome = &item.outcome;
            state.length = extent.length;
            state.checksum = extent.checksum;
            if (same) {
                const uint32_t twin = number - static_cast<uint32_t>(item.extents.size());
                state.same_as = extents_[twin].same_as == kNone ? twin : extents_[twin].same_as;
            }
            state.first_piece = state.next_piece = static_cast<uint32_t>(pieces_.size());
            cutExtent(number, extent.length, &memory, &pieces_);
            state.end_piece = static_cast<uint32_t>(pieces_.size());
            if (state.end_piece - state.first_piece > 1) state.running = running++;
            extents_.push_back(state);
        }
    }
    ended_.assign(pieces_.size(), 0);
    running_.resize(std::max<size_t>(running_.size(), running));
    for (uint32_t i = 0; i < running; ++i) running_[i].start();
    if (!pieces_.empty()) flight_.prepare(pieces_.size());
}

bool DataPath::Job::hasRoom(const Piece& piece) const {
    const size_t pending = flight_.pending();
    return pending == 0 || (pending < options_.window_requests &&
                            in_flight_ + piece.requestLength() <= options_.window_bytes);
}

// What has not been submitted is not going to be.
void DataPath::Job::giveUp() {
    for (; next_ < pieces_.size(); ++next_) {
        Outcome& outcome = *extents_[pieces_[next_].extent].outcome;
        if (outcome == Outcome::kOk) outcome = Outcome::kTimeout;
    }
}

void DataPath::Job::giveBack(Piece& piece) {
    if (piece.buffer == nullptr) return;
    staging_.give(piece.buffer, piece.length);
    piece.buffer = nullptr;
}

// Hands over as many pieces as the window and the staging buffers allow.
void DataPath::Job::submit(TransferRequest::OpCode op, TimePoint until) {
    submitting_ = next_;
    if (next_ == pieces_.size()) return;
    // A few at a time would be a call of the engine for each.
    const size_t pending = flight_.pending();
    if (pending != 0 && (in_flight_ > options_.window_bytes / 4 * 3 ||
                         pending > options_.window_requests / 4 * 3)) {
        return;
    }
    if (steady_clock::now() >= until) return giveUp();
    staging_returns_ = staging_.returns();
    size_t step_requests = 0, step_bytes = 0;
    for (; next_ < pieces_.size(); ++next_) {
        Piece& piece = pieces_[next_];
        ExtentState& extent = extents_[piece.extent];
        if (failedItem(extent.outcome)) continue;
        if (!hasRoom(piece)) break;
        if (piece.staged) {
            piece.buffer = staging_.take(piece.length);
            if (piece.buffer == nullptr) break;
            if (op == TransferRequest::WRITE) gather(piece);
        }
        TransferRequest request{};
        request.opcode = op;
        request.source = piece.staged ? piece.buffer : piece.memory.address();
        request.target_id = extent.place.segment;
        request.file_id = extent.place.file;
        request.target_offset = extent.place.offset + piece.offset;
        request.length = piece.requestLength();
        flight_.add(request, next_);
        in_flight_ += request.length;
        ++requests_;
        (piece.staged ? staged_bytes_ : direct_bytes_) += piece.length;
        if (op == TransferRequest::WRITE) continue;
        step_bytes += request.length;
        if (++step_requests < kStepRequests || step_bytes < kStepBytes) continue;
        flight_.submit();
        step_requests = step_bytes = 0;
    }
    flight_.submit();
}

// Until every piece has ended or been given up.
// @param submitted  called after each submission
// @param ended  called with the piece and whether its bytes moved
template <class Submitted, class Ended>
void DataPath::Job::run(TransferRequest::OpCode op, TimePoint until, const Submitted& submitted,
                        const Ended& ended) {
    const auto piece_ended = [&](uint32_t number, bool moved) {
        in_flight_ -= pieces_[number].requestLength();
        ended(number, moved);
    };
    const auto page_ended = [&](uint32_t page, bool moved) {
        pages_[page].outcome = moved ? Outcome::kOk : Outcome::kIoError;
    };
    for (;;) {
        submit(op, until);
        submitted();
        bool progress = flight_.poll(piece_ended);
        if (page_flight_.pending() != 0) progress = page_flight_.poll(page_ended) || progress;
        if (progress) continue;
        if (flight_.pending() + page_flight_.pending() != 0) {
            engine_.waitForProgress(kLongestWait);
        } else if (next_ < pieces_.size()) {
            // Others have all the staging buffers.
            staging_.waitForMore(staging_returns_, until);
        } else {
            break;
        }
    }
    flight_.finish();
    page_flight_.finish();
}

void DataPath::Job::get(std::span<GetItem> items, TimePoint until) {
    plan(items);
    run(
        TransferRequest::READ, until, [] {},
        [this](uint32_t piece, bool moved) { arrived(piece, moved); });
}

void DataPath::Job::arrived(uint32_t number, bool moved) {
    ExtentState& extent = extents_[pieces_[number].extent];
    if (!moved && !failedItem(extent.outcome)) *extent.outcome = Outcome::kIoError;
    ended_[number] = 1;
    for (; extent.next_piece < extent.end_piece && ended_[extent.next_piece]; ++extent.next_piece) {
        if (!failedItem(extent.outcome)) takeIn(extent, extent.next_piece);
        giveBack(pieces_[extent.next_piece]);
    }
}

// Copies what was staged, and compares when it is the extent's last piece.
void DataPath::Job::takeIn(ExtentState& extent, uint32_t number) {
    const Piece& piece = pieces_[number];
    const bool only_one = extent.running == kNone;
    const std::byte* bytes = piece.staged ? piece.buffer : piece.memory.address();
    Checksum128 found;
    if (only_one) found = checksumOf(bytes, piece.length);
    if (!piece.staged) {
        if (!only_one) running_[extent.running].add(bytes, piece.length);
    } else {
        forEachPart(piece, [&](std::byte* memory, size_t length) {
            if (!only_one) running_[extent.running].add(bytes, length);
            std::memcpy(memory, bytes, length);
            bytes += length;
        });
    }
    if (number + 1 != extent.end_piece) return;
    if (!only_one) found = running_[extent.running].end();
    if (found != extent.checksum) *extent.outcome = Outcome::kChecksumMismatch;
}

void DataPath::Job::put(std::span<PutItem> items, Describer& describer, TimePoint until) {
    plan(items);
    bool described = false;
    run(
        TransferRequest::WRITE, until,
        [&] {
            checkSubmitted(submitting_);
            if (described || next_ < pieces_.size()) return;
            described = true;
            publishChecksums(items);
            sendPages(describer.pages(), until);
        },
        [this](uint32_t number, bool moved) {
            Piece& piece = pieces_[number];
            Outcome& outcome = *extents_[piece.extent].outcome;
            if (!moved && outcome == Outcome::kOk) outcome = Outcome::kIoError;
            giveBack(piece);
        });
}

// Into the piece's staging buffer, with zeros to the end of its last block.
void DataPath::Job::gather(Piece& piece) {
    std::byte* to = piece.buffer;
    forEachPart(piece, [&](const std::byte* memory, size_t length) {
        std::memcpy(to, memory, length);
        to += length;
    });
    std::memset(to, 0, piece.requestLength() - piece.length);
}

// While they are on their way.
void DataPath::Job::checkSubmitted(uint32_t from) {
    for (uint32_t number = from; number < next_; ++number) {
        const Piece& piece = pieces_[number];
        ExtentState& extent = extents_[piece.extent];
        if (extent.same_as != kNone || failedItem(extent.outcome)) continue;
        const std::byte* const bytes = piece.staged ? piece.buffer : piece.memory.address();
        if (extent.running == kNone) {
            extent.checksum = checksumOf(bytes, piece.length);
            continue;
        }
        running_[extent.running].add(bytes, piece.length);
        if (number + 1 == extent.end_piece) extent.checksum = running_[extent.running].end();
    }
}

void DataPath::Job::publishChecksums(std::span<PutItem> items) {
    size_t number = 0;
    for (PutItem& item : items) {
        if (item.outcome == Outcome::kInvalid) continue;
        for (ExtentIo& extent : item.extents) {
            const ExtentState& state = extents_[number++];
            if (state.same_as == kNone) {
                extent.checksum = state.checksum;
            } else if (!failedItem(extents_[state.same_as].outcome)) {
                extent.checksum = extents_[state.same_as].checksum;
            } else if (!failedItem(state.outcome)) {
                extent.checksum = checksumFromMemory(state);
            }
        }
    }
}

// Where the one with the same bytes failed before all of them were checked.
Checksum128 DataPath::Job::checksumFromMemory(const ExtentState& extent) const {
    RunningChecksum running;
    running.start();
    for (uint32_t number = extent.first_piece; number < extent.end_piece; ++number) {
        forEachPart(pieces_[number],
                    [&](const std::byte* memory, size_t length) { running.add(memory, length); });
    }
    return running.end();
}

void DataPath::Job::sendPages(std::span<PageWrite> pages, TimePoint until) noexcept {
    pages_ = pages;
    if (pages.empty()) return;
    Outcome unsent = Outcome::kTimeout;
    try {
        if (steady_clock::now() < until) {
            page_flight_.prepare(pages.size());
            unsent = Outcome::kOk;
        }
    } catch (const std::exception&) {
        unsent = Outcome::kIoError;
    }
    for (size_t i = 0; i < pages.size(); ++i) {
        PageWrite& page = pages[i];
        page.outcome = unsent;
        if (unsent != Outcome::kOk) continue;
        TransferRequest request{};
        request.opcode = TransferRequest::WRITE;
        // The engine takes memory that it may write to, and only reads it.
        request.source = const_cast<void*>(page.bytes);
        request.target_id = page.place.segment;
        request.file_id = page.place.file;
        request.target_offset = page.place.offset;
        request.length = page.length;
        page_flight_.add(request, static_cast<uint32_t>(i));
        ++requests_;
    }
    page_flight_.submit();
}

}  // namespace mooncake::store
