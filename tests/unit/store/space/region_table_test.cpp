// SPDX-License-Identifier: Apache-2.0
#include "region_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <map>
#include <random>

#include "memory_file.h"
#include "region_run.h"

namespace mooncake::store {
namespace {

using ::testing::IsEmpty;

constexpr uint64_t kFileBytes = 9 << 20;  // two regions of 4 MiB
constexpr RegionIndex kRegion = 1;

Checksum128 hashOf(std::span<const std::byte> bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.low64, hash.high64};
}

// One write on its way to the file.
struct Write {
    size_t batch;
    uint64_t offset;  // in the file
    std::vector<std::byte> bytes;
    std::optional<size_t> page;  // which page of its run it is
};

struct Batch {
    std::unique_ptr<RegionRun> run;
    std::vector<TableRecord> records;
    size_t writes_left = 0;
    bool given_up = false;
};

// Lives of one region, one after the other: writers that fill it with batches, several of them on
// their way at once, whose writes come down in any order, and that are killed somewhere.
class RegionLives {
 public:
    explicit RegionLives(uint64_t seed) : random_(seed) {}

    // Calls `at_crash` at every point at which a writer could be killed.
    template <class AtCrash>
    void live(const AtCrash& at_crash) {
        ++generation_;
        previous_ = std::move(laid_out_);
        laid_out_.clear();
        committed_.clear();
        page_is_down_ = false;
        batches_.clear();
        writes_.clear();
        fill_ = std::make_shared<RegionFill>(geometry_.region_bytes);
        full_ = false;
        // Some are killed early.
        size_t steps = random_() % 3 == 0 ? random_() % 40 : SIZE_MAX;
        const int size_bits = 6 + static_cast<int>(random_() % 14);
        while (steps-- > 0) {
            if (!full_ && writes_.size() < 12) startBatch(size_bits);
            if (writes_.empty()) break;
            comeDown(at_crash);
        }
    }

    MemoryFile file{kFileBytes};
    Uuid uuid = Uuid::random();
    Geometry geometry_ = *Geometry::of(kFileBytes);
    Generation generation_ = 0;
    std::map<std::string, TableRecord> laid_out_;  // by key, in this life
    std::map<std::string, TableRecord> previous_;  // the one before
    std::vector<const TableRecord*> committed_;
    bool page_is_down_ = false;

 private:
    void startBatch(int size_bits) {
        Batch batch;
        batch.run = std::make_unique<RegionRun>(fill_, uuid, kRegion, generation_);
        std::vector<RegionRun::Part> parts;
        const size_t objects = 1 + random_() % 40;
        for (size_t i = 0; i < objects; ++i) {
            std::string key = std::to_string(generation_) + "/" + std::to_string(++keys_) + "/";
            key.resize(key.size() + random_() % (random_() % 50 == 0 ? 4000 : 60), 'k');
            TableRecord record{
                key, random_(), 1 + random_() % (uint64_t{1} << size_bits), 0, keys_, 0, 0, 0,
                0,   {}};
            const auto part = batch.run->add(record);
            if (!part) {
                full_ = true;
                break;
            }
            record.block = part->block;
            record.length = part->length;
            std::vector<std::byte> bytes((record.length + kBlockBytes - 1) / kBlockBytes *
                                         size_t{kBlockBytes});
            for (size_t at = 0; at < record.length; ++at) {
                bytes[at] = static_cast<std::byte>(record.put_id >> (at % 8 * 8));
            }
            record.checksum = hashOf(std::span(bytes).first(record.length));
            batch.run->setChecksum(*part, record.checksum);
            batch.records.push_back(record);
            laid_out_[key] = record;
            // A large one comes down in several writes.
            for (size_t at = 0; at < bytes.size();) {
                const size_t length = std::min(bytes.size() - at, size_t{256} << 10);
                writes_.push_back(
                    {batches_.size(),
                     geometry_.offsetOf(kRegion) + uint64_t{part->block} * kBlockBytes + at,
                     {bytes.begin() + static_cast<ptrdiff_t>(at),
                      bytes.begin() + static_cast<ptrdiff_t>(at + length)},
                     {}});
                ++batch.writes_left;
                at += length;
            }
        }
        batch.run->seal();
        for (size_t i = 0; i < batch.run->pages(); ++i) {
            const auto page = batch.run->page(i);
            writes_.push_back({batches_.size(),
                               geometry_.offsetOf(kRegion) + page.offset,
                               {page.bytes.begin(), page.bytes.end()},
                               i});
            ++batch.writes_left;
        }
        batches_.push_back(std::move(batch));
    }

    template <class AtCrash>
    void comeDown(const AtCrash& at_crash) {
        const size_t which = random_() % writes_.size();
        Write write = std::move(writes_[which]);
        writes_.erase(writes_.begin() + static_cast<ptrdiff_t>(which));
        Batch& batch = batches_[write.batch];
        if (random_() % 200 == 0) {  // an I/O error: the writer goes on without it
            batch.given_up = true;
            return;
        }
        // Sectors come down in any order, and the writer may die before all of them have.
        for (size_t at = 0; at < write.bytes.size(); at += 512) {
            if (random_() % 2 == 0) putDown(write, at);
        }
        at_crash();
        for (size_t at = 0; at < write.bytes.size(); at += 512) putDown(write, at);
        if (write.page) {
            page_is_down_ = true;
            batch.run->done(*write.page);
        }
        if (--batch.writes_left == 0 && !batch.given_up) {
            for (const TableRecord& record : batch.records) {
                committed_.push_back(&laid_out_.at(record.key));
            }
        }
        at_crash();
    }

    void putDown(const Write& write, size_t at) {
        std::copy_n(write.bytes.begin() + static_cast<ptrdiff_t>(at), 512,
                    file.bytes.begin() + static_cast<ptrdiff_t>(write.offset + at));
    }

    std::mt19937_64 random_;
    std::shared_ptr<RegionFill> fill_;
    std::vector<Batch> batches_;
    std::vector<Write> writes_;
    uint64_t keys_ = 0;
    bool full_ = false;
};

class RegionTableTest : public ::testing::TestWithParam<uint64_t> {};

// At every point at which the writer could be killed: all that was committed is in the table, with
// its bytes; nothing else is there but what was laid out in this life of the region.
TEST_P(RegionTableTest, IsReadableWheneverTheWriterIsKilled) {
    RegionLives region(GetParam());
    const auto read = [&](std::optional<Generation> generation) {
        const auto table =
            readRegionTable(region.file, region.geometry_, region.uuid, kRegion, generation);
        EXPECT_TRUE(table);
        return *table;
    };
    size_t crashes = 0;
    const auto check = [&] {
        // The bytes and the other lives only now and then, and later in a long life all of it.
        const bool thorough = crashes++ % 16 == 0;
        if (crashes > 200 && !thorough) return;
        const RegionTable table = read(region.generation_);
        std::map<std::string, const TableRecord*> found;
        for (const TableRecord& record : table.records) {
            const auto laid_out = region.laid_out_.find(record.key);
            ASSERT_NE(laid_out, region.laid_out_.end()) << record.key;
            ASSERT_EQ(record, laid_out->second);
            ASSERT_TRUE(found.emplace(record.key, &record).second) << "twice: " << record.key;
        }
        for (const TableRecord* record : region.committed_) {
            ASSERT_TRUE(found.contains(record->key)) << record->key;
            if (!thorough) continue;
            const std::span<const std::byte> bytes(region.file.bytes.data() +
                                                       region.geometry_.offsetOf(kRegion) +
                                                       uint64_t{record->block} * kBlockBytes,
                                                   record->length);
            ASSERT_EQ(hashOf(bytes), record->checksum) << record->key;
        }
        if (!thorough) return;
        EXPECT_THAT(read(region.generation_ + 1).records, IsEmpty());
        for (const TableRecord& record : read(region.generation_ - 1).records) {
            ASSERT_TRUE(region.previous_.contains(record.key));
        }
        const RegionTable newest = read(std::nullopt);
        if (region.page_is_down_) {
            EXPECT_EQ(newest.generation, region.generation_);
            EXPECT_EQ(newest.records.size(), table.records.size());
        }
        const auto neighbour = readRegionTable(region.file, region.geometry_, region.uuid, 0, {});
        EXPECT_EQ(neighbour->generation, 0u);
    };
    size_t all = 0;
    for (int life = 0; life < 4; ++life) {
        all += crashes;
        crashes = 0;
        region.live([&] {
            if (!HasFatalFailure()) check();
        });
    }
    EXPECT_GT(all + crashes, 20u);
}

// ThreadSanitizer has nothing to see in one thread, and takes 20 s for a seed.
#ifdef __SANITIZE_THREAD__
constexpr uint64_t kSeeds = 1;
#else
constexpr uint64_t kSeeds = 12;
#endif
INSTANTIATE_TEST_SUITE_P(Seeds, RegionTableTest, ::testing::Range<uint64_t>(1, kSeeds + 1));

TEST(RegionTableReadTest, ReadsLittleOfARegionThatWasHardlyUsed) {
    const Geometry geometry{kLargestRegion, 1};
    MemoryFile file(geometry.end());
    ASSERT_TRUE(readRegionTable(file, geometry, Uuid::random(), 0, {}));
    EXPECT_LE(file.bytes_read, 2u << 20);
}

TEST(RegionTableReadTest, AFileThatCannotBeReadIsAnError) {
    MemoryFile file(kFileBytes);
    file.read_fails = [](uint64_t) { return true; };
    const auto table =
        readRegionTable(file, *Geometry::of(kFileBytes), Uuid::random(), 0, std::nullopt);
    ASSERT_FALSE(table);
    EXPECT_EQ(table.error().failure, Failure::kUnavailable);
}

// The only page that came down is the last one that could be on its way.
TEST(RegionTableReadTest, AsManyPagesMayBeMissingAsCanBeOnTheirWay) {
    MemoryFile file(kFileBytes);
    const Geometry geometry = *Geometry::of(kFileBytes);
    const Uuid uuid = Uuid::random();
    const auto fill = std::make_shared<RegionFill>(geometry.region_bytes);
    std::vector<RegionRun> runs;
    for (uint64_t i = 0;; ++i) {
        RegionRun run(fill, uuid, 0, 5);
        if (!run.add({"key", i, 1, 0, 0, 0, 0, 0, 0, {}})) break;
        run.seal();
        runs.push_back(std::move(run));
    }
    EXPECT_EQ(runs.size(), kMostPageBlocksPending);
    const auto page = runs.back().page(0);
    ASSERT_TRUE(file.write(geometry.offsetOf(0) + page.offset, page.bytes));
    for (const std::optional<Generation> generation : {std::optional<Generation>(5), {}}) {
        const auto table = readRegionTable(file, geometry, uuid, 0, generation);
        ASSERT_TRUE(table);
        ASSERT_EQ(table->records.size(), 1u);
        EXPECT_EQ(table->records[0].put_id, kMostPageBlocksPending - 1);
    }
}

// Both blocks of a page whose first one is the last of what is read at once.
TEST(RegionTableReadTest, LongKeysAreFoundWhereverTheirPagesLie) {
    MemoryFile file(kFileBytes);
    const Geometry geometry = *Geometry::of(kFileBytes);
    const Uuid uuid = Uuid::random();
    const auto fill = std::make_shared<RegionFill>(geometry.region_bytes);
    size_t count = 0;
    for (bool more = true; more; ++count) {
        RegionRun run(fill, uuid, 0, 5);
        // An odd block at first, so that pages of two lie over every even boundary.
        more = run.add({std::string(count == 0 ? 10 : 4096, 'k'), count, 1, 0, 0, 0, 0, 0, 0, {}})
                   .has_value();
        if (!more) break;
        run.seal();
        const auto page = run.page(0);
        ASSERT_TRUE(file.write(geometry.offsetOf(0) + page.offset, page.bytes));
        run.done(0);
    }
    const auto table = readRegionTable(file, geometry, uuid, 0, 5);
    ASSERT_TRUE(table);
    EXPECT_EQ(table->records.size(), count);
    EXPECT_GT(count, 300u);
}

}  // namespace
}  // namespace mooncake::store
