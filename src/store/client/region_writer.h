// SPDX-License-Identifier: Apache-2.0
// Writes copies of objects, or parts of them, into open regions, with the pages that describe them.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "data_path.h"
#include "file_table.h"
#include "open_regions.h"
#include "region_run.h"

namespace mooncake::store {

// The order of calls: begin and grow for each copy; write; then what became of them. One thread.
// The regions stay open until it is destroyed, so that entries can be committed.
class RegionWriter : private Describer {
 public:
    RegionWriter(OpenRegions& open, FileTable& files, DataPath& data)
        : open_(open), files_(files), data_(data) {}
    ~RegionWriter() override;
    RegionWriter(const RegionWriter&) = delete;
    RegionWriter& operator=(const RegionWriter&) = delete;

    // A copy of `length` bytes, which are those of the object from record.object_offset on. What is
    // given stays the caller's until the writer is destroyed.
    // @return its number
    size_t begin(const TableRecord& record, uint64_t length, std::span<const Slice> memory);
    // Takes room in the file for what has none yet. After an error some of it may have room:
    // growing may go on, in this file or another one.
    Result<> grow(size_t copy, const KnownFile& file, Deadline deadline);
    // Gives the copy up that was begun last; its room is lost.
    void abandon(size_t copy) { copies_[copy].left = kAbandoned; }

    // Writes all that have room. What is not on its way by then is not written.
    void write(DataPath::TimePoint until);

    size_t copies() const { return copies_.size(); }
    // Written, with its pages.
    bool isWritten(size_t copy) const { return copies_[copy].is_written; }
    // Where it is. Of one that was not written, the files tell where not to try again.
    const Replica& extents(size_t copy) const { return copies_[copy].extents; }
    // Its entry is in the directory: the regions count it.
    void committed(size_t copy);
    // The directory says that a region of some copy is not this client's: nothing more goes into
    // those of this one. Those that are still its own are sealed.
    void lost(size_t copy);

 private:
    static constexpr uint64_t kAbandoned = UINT64_MAX;

    struct Run {
        OpenRegions::Use use;
        RegionRun run;
        Way way;
        Geometry geometry;
        std::vector<char> page_written;
    };
    struct Part {
        size_t run;
        RegionRun::Part part;
    };
    struct Copy {
        TableRecord record;  // of what has no room yet
        uint64_t left = 0;   // bytes of it
        std::span<const Slice> memory;
        Replica extents;
        std::vector<ExtentIo> io;
        std::vector<Part> parts;  // as many
        std::vector<std::shared_ptr<FileLoad>> loads;
        size_t item = 0;  // in items_
        bool is_written = false;
    };
    struct PageOf {
        size_t run;
        size_t page;
    };

    Result<size_t> runFor(const KnownFile& file, uint8_t pins, Deadline deadline);
    std::span<PageWrite> pages() noexcept override;

    OpenRegions& open_;
    FileTable& files_;
    DataPath& data_;
    std::deque<Run> runs_;
    std::map<const OpenRegion*, size_t> run_of_;
    std::deque<Copy> copies_;
    std::vector<PutItem> items_;
    std::vector<size_t> copy_of_item_;
    std::vector<PageWrite> page_writes_;
    std::vector<PageOf> page_of_write_;
};

}  // namespace mooncake::store
