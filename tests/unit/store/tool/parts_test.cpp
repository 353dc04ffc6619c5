// SPDX-License-Identifier: Apache-2.0
// What stands on a terminal, and how fast things go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "key_text.h"
#include "pace.h"
#include "progress.h"
#include "table.h"
#include "units.h"

namespace mooncake::store::tool {
namespace {

using std::chrono::seconds;

TEST(UnitsTest, BytesAreReadAndWritten) {
    EXPECT_EQ(bytesText(0), "0 B");
    EXPECT_EQ(bytesText(1023), "1023 B");
    EXPECT_EQ(bytesText(1536), "1.5 KiB");
    EXPECT_EQ(bytesText((1 << 20) - 1), "1.0 MiB");
    EXPECT_EQ(bytesText(~uint64_t{0}), "16.0 EiB");
    EXPECT_EQ(parseBytes("100"), 100u);
    EXPECT_EQ(parseBytes("3G"), uint64_t{3} << 30);
    EXPECT_EQ(parseBytes("2T"), uint64_t{2} << 40);
    for (const char* wrong : {"", "G", "1g", "1.5G", "-1", "1 G", "99999999999T"}) {
        EXPECT_FALSE(parseBytes(wrong)) << wrong;
    }
}

TEST(UnitsTest, TimesAreShort) {
    EXPECT_EQ(timeText(1767225600000), "2026-01-01T00:00:00Z");
    EXPECT_EQ(durationText(seconds(119)), "119 s");
    EXPECT_EQ(durationText(seconds(600)), "10 min");
    EXPECT_EQ(durationText(seconds(7200)), "2 h");
}

TEST(KeyTextTest, EveryByteComesBack) {
    std::string key;
    for (int byte = 0; byte < 256; ++byte) key += static_cast<char>(byte);
    const std::string text = keyText(key);
    for (const char one : text) EXPECT_TRUE(one >= 0x20 && one < 0x7f);
    EXPECT_EQ(parseKey(text), key);
    EXPECT_EQ(keyText("a\\b\n"), "a\\\\b\\x0a");
    EXPECT_EQ(parseKey("model@\xc3\xa9"), "model@\xc3\xa9");
    for (const char* wrong : {"\\", "\\n", "\\x1", "\\xzz", "a\\x1g"}) {
        EXPECT_FALSE(parseKey(wrong)) << wrong;
    }
}

TEST(TableTest, ColumnsAreAsWideAsTheyNeed) {
    Table table({{"N", Table::Align::kRight}, {"NAME"}, {"X"}});
    table.add({"1", "a long one", ""});
    table.add({"1000", "b", "x"});
    std::ostringstream out;
    table.print(out);
    EXPECT_EQ(out.str(),
              "   N  NAME        X\n"
              "   1  a long one\n"
              "1000  b           x\n");
}

TEST(TableTest, NoCellSteersATerminal) {
    Table table({{"NAME"}});
    table.add({"\x1b[2Ja\nb\x7f\\ \xc3\xa4"});
    std::ostringstream out;
    table.print(out);
    EXPECT_EQ(out.str(), "NAME\n\\x1b[2Ja\\x0ab\\x7f\\ \xc3\xa4\n");
}

TEST(ProgressTest, ABarSaysHowFarAndHowLong) {
    EXPECT_EQ(barText("reading", 1, 4, seconds(10)),
              "reading [#######                       ] 25 %, 30 s left");
    EXPECT_EQ(barText("reading", 9, 4, seconds(10)),
              "reading [" + std::string(30, '#') + "] 100 %");
    EXPECT_EQ(barText("objects:", 7, 0, seconds(1)), "objects: 7");
}

TEST(ProgressTest, NothingIsShownWhereNobodyLooks) {
    std::istringstream in;
    std::ostringstream out, err;
    Output output(in, out, err, false);
    {
        Progress progress(output, "reading", 2);
        progress.add(2);
    }
    EXPECT_EQ(err.str(), "");
}

TEST(PaceTest, KeepsToTheRate) {
    const Pace::Clock::time_point begin{};
    Pace pace(100, begin);
    EXPECT_EQ(pace.reserve(200, begin), begin);
    EXPECT_EQ(pace.reserve(50, begin), begin + seconds(2));
    EXPECT_EQ(pace.reserve(50, begin + seconds(1)), begin + std::chrono::milliseconds(2500));
    // What was not used is not made up for.
    EXPECT_EQ(pace.reserve(100, begin + seconds(100)), begin + seconds(100));
    EXPECT_EQ(pace.reserve(100, begin + seconds(100)), begin + seconds(101));
    Pace unbounded(0, begin);
    EXPECT_EQ(unbounded.reserve(~uint64_t{0}, begin), begin);
    EXPECT_EQ(unbounded.reserve(1, begin), begin);
}

}  // namespace
}  // namespace mooncake::store::tool
