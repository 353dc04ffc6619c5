// SPDX-License-Identifier: Apache-2.0
#include "file_counters.h"

#include <algorithm>
#include <bit>

namespace mooncake::nvmeof_generic {
namespace {

size_t setOfThisThread(size_t sets) {
    static std::atomic<size_t> next{0};
    thread_local const size_t own = next.fetch_add(1, std::memory_order_relaxed);
    return own % sets;
}

void addTo(std::atomic<uint64_t>& counter, uint64_t value) noexcept {
    if (value != 0) counter.fetch_add(value, std::memory_order_relaxed);
}

size_t bucketOf(uint64_t nanoseconds) {
    static_assert(LatencyHistogram::boundMicroseconds(0) == 8);
    const uint64_t micros = (nanoseconds + 999) / 1000;
    const size_t bucket = micros <= 8 ? 0 : static_cast<size_t>(std::bit_width((micros - 1) / 8));
    return std::min(bucket, LatencyHistogram::kBounded);
}

}  // namespace

void FileCounters::noteEnd(Direction direction, int error, uint64_t bytes,
                           uint64_t nanoseconds) noexcept {
    Operation& operation = sets_[setOfThisThread(kSets)].directions[static_cast<size_t>(direction)];
    addTo(operation.buckets[bucketOf(nanoseconds)], 1);
    addTo(operation.nanoseconds, nanoseconds);
    addTo(operation.bytes, bytes);
    if (error == 0) return;
    const auto code = static_cast<size_t>(error);
    addTo(errors_[code < kErrnos ? code : 0], 1);
}

FileStats FileCounters::read(uint32_t fileId) const {
    FileStats stats;
    stats.fileId = fileId;
    for (const Direction direction : {Direction::kRead, Direction::kWrite}) {
        OperationStats& to = direction == Direction::kRead ? stats.reads : stats.writes;
        uint64_t nanoseconds = 0;
        for (const Set& set : sets_) {
            const Operation& from = set.directions[static_cast<size_t>(direction)];
            for (size_t i = 0; i < from.buckets.size(); ++i) {
                to.latency.buckets[i] += from.buckets[i].load(std::memory_order_relaxed);
            }
            nanoseconds += from.nanoseconds.load(std::memory_order_relaxed);
            to.bytes += from.bytes.load(std::memory_order_relaxed);
        }
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
    for (size_t i = 0; i < kSets; ++i) {
        for (size_t d = 0; d < 2; ++d) {
            Operation& to = sets_[i].directions[d];
            const Operation& from = other.sets_[i].directions[d];
            for (size_t b = 0; b < to.buckets.size(); ++b) addTo(to.buckets[b], from.buckets[b]);
            addTo(to.nanoseconds, from.nanoseconds);
            addTo(to.bytes, from.bytes);
        }
    }
    for (size_t code = 0; code < kErrnos; ++code) addTo(errors_[code], other.errors_[code]);
    addTo(retries_, other.retries_);
}

}  // namespace mooncake::nvmeof_generic
