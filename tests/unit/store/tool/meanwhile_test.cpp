// SPDX-License-Identifier: Apache-2.0
// What others do to the directory in the middle of a command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <json/json.h>

#include <functional>
#include <sstream>

#include "commands.h"
#include "directory_stub.h"

namespace mooncake::store::tool {
namespace {

using testing::HasSubstr;

class Meanwhile : public DirectoryStub {
 public:
    // It has joined already.
    Result<ClientId> join(const std::string&, Deadline) override {
        before_changes();
        return lease().client;
    }
    Result<> leave(Deadline) override { return {}; }
    Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                      Deadline deadline) override {
        if (from >= broken_from) return failed(Failure::kUnavailable, "a \"broken\" line");
        return DirectoryStub::list(prefix, from, std::min(limit, page), deadline);
    }

    // Takes the region and puts an object into it.
    void fill(RegionId id, const std::string& key, uint8_t flags) {
        for (auto taken = real().takeRegion(id.file, soon());;
             taken = real().takeRegion(id.file, soon())) {
            ASSERT_TRUE(taken) << taken.error().message;
            if (taken->id != id) continue;
            ObjectEntry entry{100, flags, 1, {{{id, taken->generation, 0, 100, {1, 2}}}}};
            const auto set = real().commit({{key, entry, Change::When::kAlways}}, soon());
            ASSERT_TRUE(set && (*set)[0] == ChangeOutcome::kDone);
            ASSERT_TRUE(real().sealRegion(id, taken->generation, {100, 1}, soon()));
            return;
        }
    }

    std::function<void()> before_changes = [] {};
    std::string broken_from = "~";
    size_t page = 1000;
};

class MeanwhileTest : public testing::Test {
 protected:
    CommandLine line(const std::string& argument) {
        CommandLine line;
        line.arguments = {argument};
        line.json = true;
        return line;
    }
    Json::Value said() const {
        Json::Value json;
        std::istringstream text(out.str());
        std::string errors;
        EXPECT_TRUE(Json::parseFromStream(Json::CharReaderBuilder(), text, &json, &errors))
            << errors << out.str();
        return json;
    }

    Meanwhile directory;
    std::istringstream in;
    std::ostringstream out, err;
    Output output{in, out, err, false};
    const Asked asked{directory, std::chrono::seconds(60)};
};

// What was judged is what goes, and not what has come to the same place since.
TEST_F(MeanwhileTest, ARegionThatIsAnothersByNowIsNotEvicted) {
    const FileNumber file = directory.addKnownFile().info.number;
    const RegionId region{file, 0};
    directory.fill(region, "old", 0);
    directory.before_changes = [&] {
        const auto generation = directory.real().regions(file, asked.deadline())->at(0).generation;
        const auto begun = directory.real().beginClean(region, generation, asked.deadline());
        ASSERT_TRUE(begun);
        ASSERT_TRUE(directory.real().remove({"old"}, asked.deadline()));
        ASSERT_TRUE(directory.real().endClean(region, begun->generation, asked.deadline()));
        directory.fill(region, "pinned", kHardPin);
    };
    const auto done = evict(asked, line(std::to_string(file)), output);
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_FALSE(*done);
    EXPECT_EQ(said()["regions"], 0);
    const auto entries = directory.real().lookup({"pinned"}, asked.deadline());
    ASSERT_TRUE(entries && (*entries)[0]);
    const auto now = directory.real().regions(file, asked.deadline())->at(0);
    EXPECT_EQ(now.state, RegionState::kSealed);
    EXPECT_EQ((*entries)[0]->replicas[0][0].generation, now.generation);
}

TEST_F(MeanwhileTest, AListThatBreaksOffHasAnErrorAsAllOthersHave) {
    const FileNumber file = directory.addKnownFile().info.number;
    directory.fill({file, 0}, "a", 0);
    directory.fill({file, 1}, "b", 0);
    directory.page = 1;
    directory.broken_from = "b";
    const auto done = list(asked, line(""), output);
    EXPECT_FALSE(done && *done);
    EXPECT_EQ(said()["schema"], 1);
    ASSERT_EQ(said()["objects"].size(), 1u);
    EXPECT_EQ(said()["objects"][0]["key"], "a");
    EXPECT_EQ(said()["error"]["code"], "unavailable");
    EXPECT_EQ(said()["error"]["message"], "a \"broken\" line");
}

}  // namespace
}  // namespace mooncake::store::tool
