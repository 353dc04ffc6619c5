// SPDX-License-Identifier: Apache-2.0
#include "file_counters.h"

#include <algorithm>
#include <bit>
#include <new>

#include "transport/nvmeof_generic_transport/common/thread_number.h"

namespace mooncake::nvmeof_generic {
namespace {

void addTo(std::atomic<uint64_t>& counter, uint64_t value) noexcept {
    if (value != 0) counter.fetch_add(value, std::memory_order_relaxed);
}

// For a counter that one thread alone adds to.
void addToOwn(std::atomic<uint64_t>& counter, uint64_t value) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

size_t bucketOf(uint64_t nanoseconds) {
    static_assert(LatencyHistogram::boundMicroseconds(0) == 8);
    const uint64_t micros = (nanoseconds + 999) / 1000;
    const size_t bucket = micros <= 8 ? 0 : static_cast<size_t>(std::bit_width((micros - 1) / 8));
    return std::min(bucket, LatencyHistogram::kBounded);
}

}  // namespace

FileCounters::~FileCounters() {
    for (const auto& set : own_) delete set.load(std::memory_order_relaxed);
}

// Null: the thread shares one with others.
FileCounters::Set* FileCounters::ownSet() noexcept {
    const uint32_t thread = threadNumber();
    if (thread >= kOwn) return nullptr;
    Set* set = own_[thread].load(std::memory_order_relaxed);
    if (set == nullptr) {
        set = new (std::nothrow) Set;
        own_[thread].store(set, std::memory_order_release);
    }
    return set;
}

void FileCounters::noteEnd(Direction direction, int error, uint64_t bytes,
                           uint64_t nanoseconds) noexcept {
    Set* const own = ownSet();
    Operation& operation = (own ? *own : shared_).directions[static_cast<size_t>(direction)];
    const auto add = own ? addToOwn : addTo;
    add(operation.buckets[bucketOf(nanoseconds)], 1);
    add(operation.nanoseconds, nanoseconds);
    add(operation.bytes, bytes);
    if (error == 0) return;
    const auto code = static_cast<size_t>(error);
    addTo(errors_[code < kErrnos ? code : 0], 1);
}

template <class Use>
void FileCounters::forEachSet(const Use& use) const {
    use(shared_);
    for (const auto& own : own_) {
        if (const Set* set = own.load(std::memory_order_acquire)) use(*set);
    }
}

FileStats FileCounters::read(uint32_t fileId) const {
    FileStats stats;
    stats.fileId = fileId;
    for (const Direction direction : {Direction::kRead, Direction::kWrite}) {
        OperationStats& to = direction == Direction::kRead ? stats.reads : stats.writes;
        uint64_t nanoseconds = 0;
        forEachSet([&](const Set& set) {
            const Operation& from = set.directions[static_cast<size_t>(direction)];
            for (size_t i = 0; i < from.buckets.size(); ++i) {
                to.latency.buckets[i] += from.buckets[i].load(std::memory_order_relaxed);
            }
            nanoseconds += from.nanoseconds.load(std::memory_order_relaxed);
            to.bytes += from.bytes.load(std::memory_order_relaxed);
        });
        to.latency.totalMicroseconds = nanoseconds / 1000;
    }
    for (size_t code = 0; code < kErrnos; ++code) {
        const uint64_t count = errors_[code].load(std::memory_order_relaxed);
        if (count != 0) stats.errors[static_cast<int>(code)] = count;
    }
    stats.retries = retries_.load(std::memory_order_relaxed);
    return stats;
}

void FileCounters::add(const FileCounters& other) noexcept {
    other.forEachSet([this](const Set& set) {
        for (size_t d = 0; d < set.directions.size(); ++d) {
            Operation& to = shared_.directions[d];
            const Operation& from = set.directions[d];
            for (size_t b = 0; b < to.buckets.size(); ++b) addTo(to.buckets[b], from.buckets[b]);
            addTo(to.nanoseconds, from.nanoseconds);
            addTo(to.bytes, from.bytes);
        }
    });
    for (size_t code = 0; code < kErrnos; ++code) addTo(errors_[code], other.errors_[code]);
    addTo(retries_, other.retries_);
}

}  // namespace mooncake::nvmeof_generic
