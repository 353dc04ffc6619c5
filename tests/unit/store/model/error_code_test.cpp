// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <sstream>

#include "mooncake_store/types.h"

namespace mooncake {
namespace {

// The numbers are what programs in other languages see.
TEST(ErrorCodeTest, HaveMooncakesNumbersAndNames) {
    EXPECT_EQ(toInt(ErrorCode::OK), 0);
    EXPECT_EQ(toInt(ErrorCode::NO_AVAILABLE_HANDLE), -200);
    EXPECT_EQ(toInt(ErrorCode::OBJECT_NOT_FOUND), -704);
    EXPECT_EQ(toInt(ErrorCode::CHECKSUM_MISMATCH), -801);
    EXPECT_EQ(toString(ErrorCode::OBJECT_NOT_FOUND), "OBJECT_NOT_FOUND");
    EXPECT_EQ(toString(static_cast<ErrorCode>(-123)), "UNKNOWN_ERROR");
    std::ostringstream text;
    text << ErrorCode::INVALID_PARAMS;
    EXPECT_EQ(text.str(), "INVALID_PARAMS");
}

}  // namespace
}  // namespace mooncake
