// SPDX-License-Identifier: Apache-2.0
// Processes that take turns; here each is an object of its own on the same folder, as flock() goes
// by the open file.
#include "machine_turn.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using Look = MachineTurn::Look;

class MachineTurnTest : public testing::Test {
 protected:
    FakeHost machine;
    std::shared_ptr<RunFolder> folder = std::make_shared<RunFolder>(machine.options().runRoot);
    MachineTurn one{folder}, other{folder}, third{folder};
    const Clock::time_point now = Clock::now();

    // A look of one who has waited for `waited` of the 100 s that it has.
    Look look(MachineTurn& turn, bool suspicious, Clock::duration waited = 0s) const {
        return turn.look(suspicious, now - waited, now - waited + 100s);
    }
};

TEST_F(MachineTurnTest, OneAtATime) {
    EXPECT_EQ(look(one, false), Look::kMine);
    EXPECT_EQ(look(other, false), Look::kBusy);
    EXPECT_EQ(look(third, true), Look::kBusy);
    one.giveBack();
    EXPECT_EQ(look(other, false), Look::kMine);
    EXPECT_EQ(look(one, false), Look::kBusy);
}

TEST_F(MachineTurnTest, ASuspiciousOneGoesWhenNobodyElseWaits) {
    EXPECT_EQ(look(one, true), Look::kMine);
    one.giveBack();
    other.setWaiting(true);
    third.setWaiting(true);
    EXPECT_EQ(look(one, true), Look::kBusy);
    other.setWaiting(false);
    EXPECT_EQ(look(one, true), Look::kBusy);
    EXPECT_EQ(look(third, false), Look::kMine) << "the look of the suspicious one took nothing";
    third.giveBack();
    third.setWaiting(false);
    EXPECT_EQ(look(one, true), Look::kMine);
}

// Who is stopped with a lock in its hands holds nobody up for ever.
TEST_F(MachineTurnTest, AStoppedOneHoldsNobodyUpForLong) {
    ASSERT_EQ(look(one, false), Look::kMine);  // and is stopped
    EXPECT_EQ(look(other, false, 2s), Look::kBusy);
    EXPECT_EQ(look(other, false, 4s), Look::kWithout);
    EXPECT_EQ(look(other, true, 99s), Look::kBusy) << "the kernel may be busy as long";
    const std::string start = std::to_string((sinceBoot() - 100s).count());
    std::ofstream(machine.options().runRoot + "/nvmeof_generic/connecting") << start;
    EXPECT_EQ(look(other, true), Look::kWithout);
    EXPECT_EQ(look(other, false), Look::kWithout);
    one.giveBack();
    EXPECT_EQ(look(other, true), Look::kMine);
}

TEST_F(MachineTurnTest, AStoppedOneThatWaitsDoesNotEither) {
    one.setWaiting(true);  // and is stopped
    EXPECT_EQ(look(other, true, 2s), Look::kBusy);
    EXPECT_EQ(look(other, true, 9s), Look::kMine);
}

TEST_F(MachineTurnTest, AnyContentOfTheLockFileIsBorneWith) {
    ASSERT_EQ(look(one, false), Look::kMine);
    for (const char* content : {"", "x", "-5", "99999999999999999999999999999", "0"}) {
        std::ofstream(machine.options().runRoot + "/nvmeof_generic/connecting") << content;
        EXPECT_EQ(look(other, true), Look::kBusy) << content;
    }
}

TEST_F(MachineTurnTest, WithoutAFolderEachGoes) {
    const auto nowhere = std::make_shared<RunFolder>("/proc/nowhere");
    MachineTurn alone(nowhere), beside(nowhere);
    EXPECT_EQ(look(alone, true), Look::kMine);
    EXPECT_EQ(look(beside, true), Look::kMine);
    alone.setWaiting(true);
    alone.giveBack();
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
