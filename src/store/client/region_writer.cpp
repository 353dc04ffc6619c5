// SPDX-License-Identifier: Apache-2.0
#include "region_writer.h"

#include <algorithm>

#include "in_flight.h"

namespace mooncake::store {

RegionWriter::~RegionWriter() = default;

size_t RegionWriter::begin(const TableRecord& record, uint64_t length,
                           std::span<const Slice> memory) {
    Copy& copy = copies_.emplace_back();
    copy.record = record;
    copy.left = length;
    copy.memory = memory;
    return copies_.size() - 1;
}

// This call's run in the file's open region.
Result<size_t> RegionWriter::runFor(const KnownFile& file, uint8_t pins, Deadline deadline) {
    auto use = open_.use(file, pins, deadline);
    if (!use) return tl::unexpected(use.error());
    const OpenRegion* const region = &**use;
    if (const auto at = run_of_.find(region); at != run_of_.end()) return at->second;
    const auto way = files_.wayTo(file);
    if (!way) {
        return failed(Failure::kUnavailable, "file " + std::to_string(file.info.number) +
                                                 " of the store cannot be found in segment '" +
                                                 (file.info.mount ? file.info.mount->segment : "") +
                                                 "'; see whether its node is up");
    }
    RegionRun run(region->fill, region->uuid, region->region.id.index, region->region.generation);
    runs_.push_back({std::move(*use), std::move(run), *way, file.geometry, {}});
    run_of_[region] = runs_.size() - 1;
    return runs_.size() - 1;
}

Result<> RegionWriter::grow(size_t number, const KnownFile& file, Deadline deadline) {
    Copy& copy = copies_[number];
    bool is_fresh = false;
    while (copy.left != 0) {
        const size_t known = runs_.size();
        const auto at = runFor(file, copy.record.flags, deadline);
        if (!at) return tl::unexpected(at.error());
        Run& run = runs_[*at];
        const auto part = run.run.add(copy.record, copy.left);
        if (!part) {
            // An empty region takes a part of anything.
            if (is_fresh && run.use->fill->dataEnd() == 0) {
                return failed(Failure::kInternal, "an empty region of file " +
                                                      std::to_string(file.info.number) +
                                                      " takes nothing");
            }
            open_.retire(*run.use);
            is_fresh = true;
            continue;
        }
        is_fresh = runs_.size() != known;
        const Region& region = run.use->region;
        const Extent extent{
            region.id, region.generation, uint64_t{part->block} * kBlockBytes, part->length, {}};
        copy.extents.push_back(extent);
        copy.io.push_back({file.placeOf(run.way, extent), extent.length, {}});
        copy.parts.push_back({*at, *part});
        copy.loads.push_back(file.load);
        copy.record.object_offset += part->length;
        copy.left -= part->length;
    }
    return {};
}

void RegionWriter::write(DataPath::TimePoint until) {
    for (size_t i = 0; i < copies_.size(); ++i) {
        Copy& copy = copies_[i];
        if (copy.left != 0) continue;
        copy.item = items_.size();
        items_.push_back({copy.memory, copy.io, Outcome::kOk});
        copy_of_item_.push_back(i);
    }
    if (items_.empty()) return;
    size_t pages = 0;
    for (Run& run : runs_) {
        run.page_written.assign(run.run.pages(), 0);
        pages += run.run.pages();
    }
    page_writes_.reserve(pages);
    page_of_write_.reserve(pages);
    {
        InFlight in_flight;
        for (const size_t number : copy_of_item_) {
            const Copy& copy = copies_[number];
            for (size_t i = 0; i < copy.extents.size(); ++i) {
                in_flight.add(copy.loads[i], copy.extents[i].length);
            }
        }
        data_.put(items_, *this, until);
    }
    for (size_t i = 0; i < page_writes_.size(); ++i) {
        if (page_writes_[i].outcome != Outcome::kOk) continue;
        Run& run = runs_[page_of_write_[i].run];
        run.page_written[page_of_write_[i].page] = 1;
        run.run.done(page_of_write_[i].page);
    }
    for (const size_t number : copy_of_item_) {
        Copy& copy = copies_[number];
        copy.is_written = items_[copy.item].outcome == Outcome::kOk &&
                          std::all_of(copy.parts.begin(), copy.parts.end(), [&](const Part& part) {
                              return runs_[part.run].page_written[part.part.page] != 0;
                          });
    }
}

// The memory was reserved.
std::span<PageWrite> RegionWriter::pages() noexcept {
    for (const size_t number : copy_of_item_) {
        Copy& copy = copies_[number];
        if (items_[copy.item].outcome != Outcome::kOk) continue;
        for (size_t i = 0; i < copy.parts.size(); ++i) {
            copy.extents[i].checksum = copy.io[i].checksum;
            runs_[copy.parts[i].run].run.setChecksum(copy.parts[i].part, copy.io[i].checksum);
        }
    }
    for (size_t i = 0; i < runs_.size(); ++i) {
        Run& run = runs_[i];
        run.run.seal();
        // They lie one before the other, and neighbours are joined in the order of their places.
        for (size_t page = run.run.pages(); page-- > 0;) {
            const RegionRun::Page one = run.run.page(page);
            const Place place{run.way.segment, run.way.file,
                              run.geometry.offsetOf(run.run.region()) + one.offset};
            page_writes_.push_back({place, one.bytes.data(), one.bytes.size(), Outcome::kTimeout});
            page_of_write_.push_back({i, page});
        }
    }
    return page_writes_;
}

void RegionWriter::committed(size_t number) {
    const Copy& copy = copies_[number];
    for (size_t i = 0; i < copy.parts.size(); ++i) {
        OpenRegion& region = *runs_[copy.parts[i].run].use;
        region.bytes.fetch_add(copy.extents[i].length, std::memory_order_relaxed);
        region.objects.fetch_add(1, std::memory_order_relaxed);
    }
}

void RegionWriter::lost(size_t number) {
    for (const Part& part : copies_[number].parts) open_.retire(*runs_[part.run].use);
}

}  // namespace mooncake::store
