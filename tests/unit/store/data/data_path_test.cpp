// SPDX-License-Identifier: Apache-2.0
#include "data_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <future>
#include <numeric>
#include <thread>

#include "checksum.h"
#include "file_pattern.h"
#include "memory_transport/memory_transport.h"
#include "slices.h"

namespace mooncake::store {
namespace {

using std::chrono::steady_clock;
using test_support::AlignedBuffer;
using test_support::MemoryTransportControl;
using test_support::TransferFault;
using ::testing::Each;
using ::testing::ElementsAre;

constexpr auto kEver = steady_clock::time_point::max();
constexpr size_t kFileBytes = 64 << 20;
constexpr std::chrono::seconds kLimit(60);

// Writes no pages unless it is given some.
class Pages : public Describer {
 public:
    std::span<PageWrite> pages() noexcept override {
        ++calls;
        on_call();
        return writes;
    }
    std::vector<PageWrite> writes;
    std::function<void()> on_call = [] {};
    int calls = 0;
};

class DataPathTest : public ::testing::Test {
 protected:
    DataPathTest() {
        setenv("MC_TRANSPORT_PLUGIN_PATH", MEMORY_TRANSPORT_FOLDER, 1);
        engine_ = makeEngine();
        EXPECT_EQ(engine_->registerLocalFile("/own", kFileBytes, own_file_), 0);
        other_ = makeEngine();
        EXPECT_EQ(other_->registerLocalFile("/other", kFileBytes, other_file_), 0);
        other_segment_ = engine_->openSegment(other_->getLocalIpAndPort());
        EXPECT_NE(other_segment_, static_cast<SegmentHandle>(-1));
    }

    std::unique_ptr<TransferEngine> makeEngine() {
        auto engine = std::make_unique<TransferEngine>();
        EXPECT_EQ(engine->init(P2PHANDSHAKE, "127.0.0.1:0"), 0);
        void* args[] = {&control_};
        EXPECT_NE(engine->installTransport("memory", args), nullptr);
        return engine;
    }

    Place own(uint64_t offset) const { return {LOCAL_SEGMENT_ID, own_file_, offset}; }
    Place other(uint64_t offset) const { return {other_segment_, other_file_, offset}; }
    // What lies there, seen past the engine.
    std::span<const std::byte> stored(const Place& place, size_t length) {
        const auto file = control_.file(place.segment == LOCAL_SEGMENT_ID ? "/own" : "/other");
        return std::span(*file).subspan(place.offset, length);
    }

    // As many objects of one extent each, one after the other in the own file.
    struct Objects {
        Objects(size_t count, size_t size)
            : memory(count * size),
              back(count * size),
              slices(count),
              back_slices(count),
              extents(count) {
            test_support::fillPattern(1, 0, memory.data(), memory.size());
            for (size_t i = 0; i < count; ++i) {
                slices[i] = {memory.data() + i * size, size};
                back_slices[i] = {back.data() + i * size, size};
                extents[i].length = size;
                puts.push_back({{&slices[i], 1}, {&extents[i], 1}});
                gets.push_back({{&back_slices[i], 1}, {&extents[i], 1}});
            }
        }
        AlignedBuffer memory, back;
        std::vector<Slice> slices, back_slices;
        std::vector<ExtentIo> extents;
        std::vector<PutItem> puts;
        std::vector<GetItem> gets;

        std::vector<Outcome> putOutcomes() const { return outcomes(puts); }
        std::vector<Outcome> getOutcomes() const { return outcomes(gets); }

     private:
        template <class Items>
        static std::vector<Outcome> outcomes(const Items& items) {
            std::vector<Outcome> all;
            for (const auto& item : items) all.push_back(item.outcome);
            return all;
        }
    };
    std::unique_ptr<Objects> makeObjects(size_t count, size_t size) {
        auto objects = std::make_unique<Objects>(count, size);
        const size_t room = (size + 4095) / 4096 * 4096;
        for (size_t i = 0; i < count; ++i) objects->extents[i].place = own(i * room);
        return objects;
    }

    MemoryTransportControl control_;
    std::unique_ptr<TransferEngine> engine_;
    std::unique_ptr<TransferEngine> other_;
    FileBufferID own_file_ = 0;
    FileBufferID other_file_ = 0;
    SegmentHandle other_segment_ = 0;
    Pages pages_;
};

struct Shape {
    uint64_t seed;
    DataOptions options;
};
class DataPathRoundTripTest : public DataPathTest, public ::testing::WithParamInterface<Shape> {};

// Objects of any size in extents of any length on two nodes, from and to memory of any shape.
TEST_P(DataPathRoundTripTest, BringsBackWhatWasPut) {
    std::mt19937_64 random(GetParam().seed);
    DataPath path(*engine_, GetParam().options);
    struct Object {
        std::vector<std::byte> bytes;
        std::unique_ptr<RandomSlices> from, to;
        std::vector<ExtentIo> extents;
    };
    std::deque<Object> objects;
    std::vector<PutItem> puts;
    std::vector<GetItem> gets;
    uint64_t end[2] = {0, 0};
    for (int i = 0; i < 40; ++i) {
        Object& object = objects.emplace_back();
        object.bytes.resize(1 + random() % (size_t{1} << (random() % 22)));
        for (std::byte& byte : object.bytes) byte = static_cast<std::byte>(random());
        const auto shape = static_cast<RandomSlices::Shape>(random() % 2);
        object.from = std::make_unique<RandomSlices>(random, object.bytes.size(), shape);
        object.from->fill(object.bytes);
        // There may be more room than the object has bytes.
        object.to = std::make_unique<RandomSlices>(random, object.bytes.size(), shape);
        for (uint64_t left = object.bytes.size(); left > 0;) {
            const uint64_t length = random() % 2 == 0 ? left : 1 + random() % left;
            const size_t node = random() % 2;
            object.extents.push_back({node == 0 ? own(end[0]) : other(end[1]), length, {}});
            end[node] += (length + 4095) / 4096 * 4096;
            left -= length;
        }
        puts.push_back({object.from->slices, object.extents});
    }
    ASSERT_LE(std::max(end[0], end[1]), kFileBytes);
    path.put(puts, pages_, kEver);
    EXPECT_EQ(pages_.calls, 1);
    for (size_t i = 0; i < objects.size(); ++i) {
        Object& object = objects[i];
        ASSERT_EQ(puts[i].outcome, Outcome::kOk);
        EXPECT_TRUE(object.from->surroundingsUntouched());
        size_t at = 0;
        for (const ExtentIo& extent : object.extents) {
            EXPECT_EQ(extent.checksum, checksumOf(object.bytes.data() + at, extent.length));
            const auto there = stored(extent.place, extent.length);
            ASSERT_EQ(std::memcmp(there.data(), object.bytes.data() + at, extent.length), 0);
            at += extent.length;
        }
        gets.push_back({object.to->slices, object.extents});
    }
    path.get(gets, kEver);
    for (size_t i = 0; i < objects.size(); ++i) {
        ASSERT_EQ(gets[i].outcome, Outcome::kOk) << i;
        EXPECT_TRUE(objects[i].to->content() == objects[i].bytes) << i;
        EXPECT_TRUE(objects[i].to->surroundingsUntouched()) << i;
    }
    const uint64_t bytes = std::accumulate(
        objects.begin(), objects.end(), uint64_t{0},
        [](uint64_t sum, const Object& object) { return sum + object.bytes.size(); });
    const DataCounts counts = path.counts();
    EXPECT_EQ(counts.direct_bytes + counts.staged_bytes, 2 * bytes);
    EXPECT_EQ(counts.checksum_mismatches + counts.io_errors + counts.timeouts, 0u);
}

INSTANTIATE_TEST_SUITE_P(Shapes, DataPathRoundTripTest,
                         ::testing::Values(Shape{1, {}}, Shape{2, {}},
                                           Shape{3, {0, 64 << 20, 1024}}, Shape{4, {0, 1 << 20, 4}},
                                           Shape{5, {1 << 20, 1, 1}},
                                           Shape{6, {16 << 20, 3 << 20, 10}}));

TEST_F(DataPathTest, WhatIsOnBlocksIsNeverCopied) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(16, 1 << 20);
    path.put(objects->puts, pages_, kEver);
    path.get(objects->gets, kEver);
    EXPECT_THAT(objects->getOutcomes(), Each(Outcome::kOk));
    EXPECT_EQ(path.counts().staged_bytes, 0u);
    EXPECT_EQ(path.counts().direct_bytes, 32u << 20);
    ASSERT_EQ(control_.requests.size(), 32u);
    for (size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(control_.requests[i].source, objects->slices[i].ptr);
        EXPECT_EQ(control_.requests[16 + i].source, objects->back_slices[i].ptr);
    }
    EXPECT_EQ(test_support::comparePattern(1, 0, objects->back.data(), 16 << 20), "");
}

// Of small objects every 64 are read by one.
TEST_F(DataPathTest, ABatchIsOneSubmission) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(256, 4096);
    path.put(objects->puts, pages_, kEver);
    EXPECT_EQ(control_.calls, 1u);
    path.get(objects->gets, kEver);
    EXPECT_EQ(control_.calls, 5u);
    EXPECT_THAT(objects->getOutcomes(), Each(Outcome::kOk));
}

TEST_F(DataPathTest, TheLastBlockIsFilledWithZeros) {
    DataPath path(*engine_, {});
    // Leaves something in the staging buffer.
    std::vector<std::byte> other(8192 + 1, std::byte{0x66});
    const Slice slice{other.data() + 1, 8192};
    ExtentIo extent{own(1 << 20), 8192, {}};
    PutItem first{{&slice, 1}, {&extent, 1}};
    path.put({&first, 1}, pages_, kEver);
    ASSERT_EQ(path.counts().staged_bytes, 8192u);
    const auto objects = makeObjects(1, 5000);
    std::fill_n(control_.file("/own")->begin(), 3 * 4096, std::byte{0x55});
    path.put(objects->puts, pages_, kEver);
    for (size_t i = 5000; i < 8192; ++i) ASSERT_EQ(stored(own(i), 1)[0], std::byte{0}) << i;
    EXPECT_EQ(stored(own(8192), 1)[0], std::byte{0x55});
}

// Each object has its own outcome, and what happens to one touches no other.
TEST_F(DataPathTest, EachObjectHasItsOwnOutcome) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(6, 3 << 20);
    const auto at = [](size_t object, size_t piece) { return (object * 3 + piece) << 20; };
    std::map<uint64_t, TransferFault> faults{{at(1, 1), TransferFault::kFail},
                                             {at(3, 0), TransferFault::kTear},
                                             {at(4, 2), TransferFault::kLie}};
    control_.fault = [&](const TransferRequest& request, const std::string&) {
        const auto found = faults.find(request.target_offset);
        return found == faults.end() ? TransferFault::kNone : found->second;
    };
    path.put(objects->puts, pages_, kEver);
    EXPECT_THAT(objects->putOutcomes(), ElementsAre(Outcome::kOk, Outcome::kIoError, Outcome::kOk,
                                                    Outcome::kIoError, Outcome::kOk, Outcome::kOk))
        << "a disk that lies is not found out by writing";
    faults = {};
    path.get(objects->gets, kEver);
    EXPECT_EQ(objects->gets[4].outcome, Outcome::kChecksumMismatch);
    EXPECT_EQ(objects->gets[0].outcome, Outcome::kOk);
    path.put(objects->puts, pages_, kEver);
    faults = {{at(0, 2), TransferFault::kFail},
              {at(2, 0), TransferFault::kCorrupt},
              {at(3, 1), TransferFault::kTear},
              {at(5, 2), TransferFault::kLie}};
    std::memset(objects->back.data(), 0, objects->back.size());
    const DataCounts before = path.counts();
    path.get(objects->gets, kEver);
    EXPECT_THAT(objects->getOutcomes(),
                ElementsAre(Outcome::kIoError, Outcome::kOk, Outcome::kChecksumMismatch,
                            Outcome::kIoError, Outcome::kOk, Outcome::kChecksumMismatch));
    EXPECT_EQ(path.counts().checksum_mismatches - before.checksum_mismatches, 2u);
    EXPECT_EQ(path.counts().io_errors - before.io_errors, 2u);
}

TEST_F(DataPathTest, AFlippedByteIsFoundInEveryPieceOfAnObject) {
    DataPath path(*engine_, {1 << 20, 64 << 20, 1024});
    for (const size_t size :
         {size_t{1}, size_t{4096}, size_t{5000}, size_t{300000}, size_t{3500000}}) {
        const auto objects = makeObjects(1, size);
        path.put(objects->puts, pages_, kEver);
        for (size_t at = 0; at < size; at += 1 + size / 7) {
            std::byte& byte = (*control_.file("/own"))[at];
            byte ^= std::byte{1};
            path.get(objects->gets, kEver);
            EXPECT_EQ(objects->gets[0].outcome, Outcome::kChecksumMismatch) << size << " at " << at;
            byte ^= std::byte{1};
        }
        path.get(objects->gets, kEver);
        EXPECT_EQ(objects->gets[0].outcome, Outcome::kOk) << size;
    }
}

TEST_F(DataPathTest, ASegmentThatIsNotOpenCostsItsOwnObjects) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(5, 8192);
    objects->extents[2].place.segment = 77;
    path.put(objects->puts, pages_, kEver);
    EXPECT_THAT(objects->putOutcomes(), ElementsAre(Outcome::kOk, Outcome::kOk, Outcome::kIoError,
                                                    Outcome::kOk, Outcome::kOk));
    path.get(objects->gets, kEver);
    EXPECT_THAT(objects->getOutcomes(), ElementsAre(Outcome::kOk, Outcome::kOk, Outcome::kIoError,
                                                    Outcome::kOk, Outcome::kOk));
}

TEST_F(DataPathTest, AnEngineThatIsGoneFailsEverything) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(3, 8192);
    engine_->freeEngine();
    path.put(objects->puts, pages_, kEver);
    EXPECT_THAT(objects->putOutcomes(), Each(Outcome::kIoError));
    path.get(objects->gets, kEver);
    EXPECT_THAT(objects->getOutcomes(), Each(Outcome::kIoError));
}

TEST_F(DataPathTest, WhatCannotBeIsRefusedWithoutARequest) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(5, 8192);
    objects->slices[0].size = 8191;    // too short
    objects->slices[1].ptr = nullptr;  // nowhere
    objects->extents[2].place.offset = 512;
    objects->extents[3].length = 0;
    path.put(objects->puts, pages_, kEver);
    EXPECT_THAT(objects->putOutcomes(),
                ElementsAre(Outcome::kInvalid, Outcome::kInvalid, Outcome::kInvalid,
                            Outcome::kInvalid, Outcome::kOk));
    EXPECT_EQ(control_.requests.size(), 1u);
    EXPECT_EQ(objects->extents[4].checksum, checksumOf(objects->slices[4].ptr, 8192));
    path.put({}, pages_, kEver);
    path.get({}, kEver);
}

TEST_F(DataPathTest, NothingIsSentWhenTheTimeIsOver) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(3, 8192);
    AlignedBuffer page(4096);
    pages_.writes = {{own(1 << 20), page.data(), 4096}};
    path.put(objects->puts, pages_, steady_clock::now());
    EXPECT_THAT(objects->putOutcomes(), Each(Outcome::kTimeout));
    EXPECT_EQ(pages_.writes[0].outcome, Outcome::kTimeout);
    path.get(objects->gets, steady_clock::now());
    EXPECT_THAT(objects->getOutcomes(), Each(Outcome::kTimeout));
    EXPECT_EQ(control_.requests.size(), 0u);
    EXPECT_EQ(path.counts().timeouts, 6u);
}

// The time is over while a request is on its way: that one is waited for, no other is sent.
TEST_F(DataPathTest, DoesNotReturnWhileARequestIsOnItsWay) {
    for (const bool writes : {false, true}) {
        DataPath path(*engine_, {1 << 20, 1, 1});  // one request at a time
        const auto objects = makeObjects(2, 8192);
        path.put(objects->puts, pages_, kEver);
        control_.hold();
        control_.fault = [](const TransferRequest&, const std::string&) {
            return TransferFault::kHold;
        };
        std::atomic<bool> released = false;
        constexpr std::chrono::milliseconds kTime{300};
        auto call = std::async(std::launch::async, [&] {
            // From here on: a thread may take long to start.
            const auto until = steady_clock::now() + kTime;
            writes ? path.put(objects->puts, pages_, until) : path.get(objects->gets, until);
            EXPECT_TRUE(released);
        });
        control_.waitForHeld(1);
        // One that does not wait for it would return now.
        EXPECT_EQ(call.wait_for(kTime + std::chrono::milliseconds(200)),
                  std::future_status::timeout);
        released = true;
        control_.release();
        ASSERT_EQ(call.wait_for(kLimit), std::future_status::ready);
        EXPECT_THAT(writes ? objects->putOutcomes() : objects->getOutcomes(),
                    ElementsAre(Outcome::kOk, Outcome::kTimeout));
        control_.fault = [](const TransferRequest&, const std::string&) {
            return TransferFault::kNone;
        };
    }
}

// The describer has the checksums while the data are on their way, and its pages go beside them.
TEST_F(DataPathTest, PagesGoBesideTheData) {
    DataPath path(*engine_, {});
    const auto objects = makeObjects(4, 100000);
    AlignedBuffer page(8192);
    test_support::fillPattern(9, 0, page.data(), page.size());
    pages_.writes = {{own(32 << 20), page.data(), 8192}, {own(kFileBytes), page.data(), 4096}};
    control_.fault = [](const TransferRequest& request, const std::string&) {
        return request.target_offset < (32 << 20) ? TransferFault::kHold : TransferFault::kNone;
    };
    pages_.on_call = [&] {
        for (size_t i = 0; i < 4; ++i) {
            EXPECT_EQ(objects->extents[i].checksum, checksumOf(objects->slices[i].ptr, 100000));
        }
    };
    auto call = std::async(std::launch::async, [&] { path.put(objects->puts, pages_, kEver); });
    const auto pages_sent = [&] {
        const std::lock_guard lock(control_.mutex);
        return std::any_of(control_.requests.begin(), control_.requests.end(),
                           [](const TransferRequest& r) { return r.target_offset == 32 << 20; });
    };
    const auto limit = steady_clock::now() + kLimit;
    while (!pages_sent() && steady_clock::now() < limit) std::this_thread::yield();
    EXPECT_TRUE(pages_sent()) << "they wait for the data";
    control_.release();
    call.get();
    EXPECT_EQ(pages_.calls, 1);
    EXPECT_THAT(objects->putOutcomes(), Each(Outcome::kOk));
    EXPECT_EQ(pages_.writes[0].outcome, Outcome::kOk);
    EXPECT_EQ(pages_.writes[1].outcome, Outcome::kIoError);
    EXPECT_EQ(test_support::comparePattern(9, 0, stored(own(32 << 20), 8192).data(), 8192), "");
}

// Replicas share a checksum, also where the first one fails before it is computed.
TEST_F(DataPathTest, ReplicasHaveTheSameChecksums) {
    DataPath path(*engine_, {1 << 20, 1, 1});
    const auto objects = makeObjects(1, 3 << 20);
    ExtentIo copies[2] = {{other(0), 3 << 20, {}}, {other(8 << 20), 3 << 20, {}}};
    for (ExtentIo& copy : copies) objects->puts.push_back({objects->puts[0].memory, {&copy, 1}});
    for (const bool fails : {false, true}) {
        control_.fault = [fails](const TransferRequest&, const std::string& file) {
            return fails && file == "/own" ? TransferFault::kFail : TransferFault::kNone;
        };
        objects->extents[0].checksum = copies[0].checksum = copies[1].checksum = {};
        path.put(objects->puts, pages_, kEver);
        EXPECT_THAT(objects->putOutcomes(), ElementsAre(fails ? Outcome::kIoError : Outcome::kOk,
                                                        Outcome::kOk, Outcome::kOk));
        for (const ExtentIo& copy : copies) {
            EXPECT_EQ(copy.checksum, checksumOf(objects->memory.data(), 3 << 20));
        }
    }
}

// All want more staging buffers than there are.
TEST_F(DataPathTest, ManyThreadsShareFewBuffers) {
    DataPath path(*engine_, {0, 64 << 20, 1024});
    std::vector<std::thread> threads;
    for (uint64_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            std::mt19937_64 random(thread + 1);
            Pages pages;
            for (int round = 0; round < 10; ++round) {
                std::vector<std::byte> bytes(1 + random() % 900000);
                for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
                const RandomSlices from(random, bytes.size(), RandomSlices::Shape::kAny);
                const RandomSlices to(random, bytes.size(), RandomSlices::Shape::kAny);
                from.fill(bytes);
                ExtentIo extent{own(thread << 22), bytes.size(), {}};
                PutItem put{from.slices, {&extent, 1}};
                path.put({&put, 1}, pages, kEver);
                EXPECT_EQ(put.outcome, Outcome::kOk);
                GetItem get{to.slices, {&extent, 1}};
                path.get({&get, 1}, kEver);
                EXPECT_EQ(get.outcome, Outcome::kOk);
                EXPECT_TRUE(to.content() == bytes);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace mooncake::store
