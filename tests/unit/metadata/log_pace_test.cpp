// SPDX-License-Identifier: Apache-2.0
// A store or a target that is away for a day is worth some lines, not tens of thousands.
#include "log_pace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http_storage.h"
#include "log_lines.h"
#include "memory_storage.h"
#include "store_health.h"
#include "transfer_metadata.h"

namespace mooncake::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::LogLines;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Outcome = MetadataStorage::Outcome;
using Result = MetadataStorage::Result;

const Result kFailure{Outcome::kFailed, "GET http://store: no route"};

TEST(StoreHealthTest, SaysWhenTheStoreGoesAndWhenItIsBack) {
    LogLines log;
    StoreHealth health;
    StoreHealth::Clock::time_point now{hours(1)};
    health.note({}, now);
    EXPECT_THAT(log.take(), SizeIs(0));
    health.note(kFailure, now);
    EXPECT_THAT(log.take(), ElementsAre(HasSubstr("GET http://store: no route")));
    health.note(kFailure, now += seconds(59));
    EXPECT_THAT(log.take(), SizeIs(0));
    health.note(kFailure, now += seconds(1));
    EXPECT_THAT(log.take(), ElementsAre(HasSubstr("and 1 more operations failed")));
    // Any answer will do.
    health.note({Outcome::kNotFound, "no such key"}, now += seconds(30));
    EXPECT_THAT(log.take(), ElementsAre(HasSubstr("answers again, after 90 s")));
    health.note({Outcome::kConflict, ""}, now);
    health.note({Outcome::kRefused, "no"}, now);
    EXPECT_THAT(log.take(), SizeIs(0));
}

TEST(StoreHealthTest, ADayCostsALineAMinute) {
    LogLines log;
    StoreHealth health;
    StoreHealth::Clock::time_point now{hours(1)};
    for (int i = 0; i < 24 * 3600 / 5; ++i) health.note(kFailure, now += seconds(5));
    EXPECT_LE(log.take().size(), 24u * 60 + 1);
    // A store that comes and goes all the time costs two.
    for (int i = 0; i < 3600; ++i) {
        health.note(i % 2 == 0 ? kFailure : Result{}, now += seconds(1));
    }
    EXPECT_LE(log.take().size(), 2u * 60 + 1);
}

TEST(NamedLogPaceTest, ADayCostsSomeHundredLinesForEachName) {
    NamedLogPace pace;
    LogPace::Clock::time_point now{hours(1)};
    uint64_t lines[2] = {}, left_out[2] = {};
    constexpr int kAttempts = 24 * 3600 / 2;
    for (int i = 0; i < kAttempts; ++i) {
        now += seconds(2);
        for (int name = 0; name < 2; ++name) {
            if (const auto missed = pace.admit(std::to_string(name), now)) {
                ++lines[name];
                left_out[name] += *missed;
            }
        }
    }
    for (int name = 0; name < 2; ++name) {
        EXPECT_LE(lines[name], 310u);
        EXPECT_GE(lines[name] + left_out[name] + 150, static_cast<uint64_t>(kAttempts))
            << "what was left out is said";
    }
    EXPECT_EQ(pace.admit("0", now + hours(1)).has_value(), true);
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(pace.admit("many" + std::to_string(i), now), 0u);
}

// An operation on a store that is not there tries three times, and says so once.
TEST(LogFloodTest, AStoreThatIsAwayCostsALine) {
    StoreLimits limits;
    limits.pause = milliseconds(1);
    std::unique_ptr<HttpStorage> storage;
    ASSERT_TRUE(HttpStorage::create("http://127.0.0.1:1/metadata", limits, &storage).ok());
    LogLines log;
    std::string value;
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(storage->get("key", &value).ok());
    EXPECT_THAT(log.take(), ElementsAre(HasSubstr("(after 3 attempts)")));
}

// Who waits for a target asks all the time.
TEST(LogFloodTest, ATargetThatIsAwayCostsALineForEachSegment) {
    const auto storage = std::make_shared<MemoryStorage>();
    TransferMetadata metadata(storage);
    LogLines log;
    for (int i = 0; i < 1000; ++i) {
        EXPECT_FALSE(metadata.getSegmentDesc("one"));
        EXPECT_FALSE(metadata.getSegmentDesc("two"));
    }
    const auto lines = log.take();
    ASSERT_GE(lines.size(), 2u);
    EXPECT_THAT(lines[0], HasSubstr("'one' is not in the metadata store"));
    EXPECT_THAT(lines[1], HasSubstr("'two' is not in the metadata store"));
    // However slow the machine: the third line for a name comes 3 s after the first at the soonest.
    EXPECT_LE(lines.size(), 40u);
    storage->set("mooncake/ram/three", "garbage");
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE(metadata.getSegmentDesc("three"));
    EXPECT_LE(log.take().size(), 20u);
}

}  // namespace
}  // namespace mooncake::test
