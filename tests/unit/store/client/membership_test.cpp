// SPDX-License-Identifier: Apache-2.0
#include "membership.h"

#include <gtest/gtest.h>

#include "directory_stub.h"

namespace mooncake::store {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// With a lease of the test's choice.
class LeaseDirectory : public DirectoryStub {
 public:
    Lease lease() const override { return chosen; }
    Lease chosen;
};

TEST(MembershipTest, NothingIsWrittenAfterTheLease) {
    LeaseDirectory directory;
    const auto deadline = steady_clock::now() + seconds(1000);
    directory.chosen = {7, BootClock::now() + seconds(100)};
    const auto before = steady_clock::now();
    const auto until = writeUntil(directory, deadline);
    EXPECT_GT(until, before + seconds(50));
    EXPECT_LE(until, steady_clock::now() + seconds(100));
    EXPECT_EQ(writeUntil(directory, before + seconds(10)), before + seconds(10));
    // It has ended, or there is none.
    for (const Lease& lease :
         {Lease{7, BootClock::now()}, Lease{0, BootClock::now() + seconds(100)}}) {
        directory.chosen = lease;
        const auto now = writeUntil(directory, deadline);
        EXPECT_LE(now, steady_clock::now());
    }
}

}  // namespace
}  // namespace mooncake::store
