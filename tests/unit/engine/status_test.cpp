// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace mooncake {
namespace {

TEST(StatusTest, AGoodStatusHasNoMessage) {
    const Status status(Status::Code::kOk, "dropped");
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(status.message(), "");
    EXPECT_EQ(status.ToString(), "OK");
    EXPECT_EQ(status, Status::OK());
}

TEST(StatusTest, CarriesCodeAndMessage) {
    const Status status = Status::InvalidArgument("no such thing");
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(status.IsInvalidArgument());
    EXPECT_FALSE(status.IsMetadata());
    EXPECT_EQ(status.code(), Status::Code::kInvalidArgument);
    EXPECT_EQ(status.ToString(), "InvalidArgument: no such thing");
    std::ostringstream text;
    text << status << " / " << Status::Code::kBatchBusy;
    EXPECT_EQ(text.str(), "InvalidArgument: no such thing / BatchBusy");
}

TEST(StatusTest, CopiesAndMoves) {
    Status original = Status::Metadata("down");
    Status copy = original;
    EXPECT_EQ(copy, original);
    Status moved = std::move(original);
    EXPECT_EQ(moved, copy);
    original = moved;
    EXPECT_EQ(original, copy);
    EXPECT_NE(copy, Status::Metadata("up"));
    EXPECT_NE(copy, Status::Socket("down"));
    Status& self = copy;
    copy = self;
    EXPECT_EQ(copy.message(), "down");
    copy = Status::OK();
    EXPECT_EQ(copy.message(), "");
}

TEST(StatusTest, EveryCodeHasANameOfItsOwn) {
    std::set<std::string_view> names;
    for (const int code :
         {0, 1, 2, 3, 4, 6, 7, 8, 101, 102, 103, 104, 200, 201, 202, 300, 301, 302, 999}) {
        const auto name = Status::CodeToString(static_cast<Status::Code>(code));
        EXPECT_NE(name, "UnknownCode") << code;
        EXPECT_TRUE(names.insert(name).second) << name;
    }
    EXPECT_EQ(Status::CodeToString(static_cast<Status::Code>(5)), "UnknownCode");
}

}  // namespace
}  // namespace mooncake
