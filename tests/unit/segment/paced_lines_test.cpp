// SPDX-License-Identifier: Apache-2.0
#include "paced_lines.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// A day of attempts, each of which finds the same two things wrong.
TEST(PacedLines, EachTextHasItsOwnPace) {
    PacedLines lines;
    LogPace::Clock::time_point now{1h};
    uint64_t written = 0;
    for (const auto end = now + 24h; now < end; now += 2s) {
        for (std::string text : {"one", "other"}) {
            const std::string before = text;
            if (!lines.admit(text, now)) continue;
            ++written;
            EXPECT_TRUE(text.starts_with(before));
        }
    }
    EXPECT_GE(written, 500u);
    EXPECT_LE(written, 620u);
    std::string text = "one";
    EXPECT_TRUE(lines.admit(text, now + 1h));
    EXPECT_NE(text.find("such lines left out"), std::string::npos);
}

TEST(PacedLines, TextsThatOthersMakeUpDoNotFillTheMemory) {
    PacedLines lines;
    const LogPace::Clock::time_point now{1h};
    for (int i = 0; i < 100000; ++i) {
        std::string text = std::to_string(i);
        EXPECT_TRUE(lines.admit(text, now));
    }
    EXPECT_LE(lines.size(), 4096u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
