// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mooncake::store::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<CommandLine> parse(std::vector<std::string> words) {
    words.insert(words.begin(), "mooncake_file_store");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return parseCommandLine(static_cast<int>(words.size()), argv.data());
}

std::string complaint(std::vector<std::string> words) {
    const auto line = parse(std::move(words));
    EXPECT_FALSE(line.has_value());
    if (line) return "";
    EXPECT_EQ(line.error().failure, Failure::kInvalid);
    EXPECT_THAT(line.error().message, HasSubstr("--help"));
    return line.error().message;
}

TEST(CommandLineTest, TakesWhatTheHelpSays) {
    const auto put = parse({"put", "--replicas=2", "--hard-pin", "--directory", "/a", "key", "-"});
    ASSERT_TRUE(put.has_value()) << put.error().message;
    EXPECT_EQ(put->command, Command::kPut);
    EXPECT_EQ(put->replicas, 2u);
    EXPECT_TRUE(put->hard_pin);
    EXPECT_FALSE(put->soft_pin);
    EXPECT_EQ(put->directory, "/a");
    EXPECT_THAT(put->arguments, ElementsAre("key", "-"));
    const auto verify = parse({"verify", "--rate=100M", "--timeout=5"});
    ASSERT_TRUE(verify.has_value()) << verify.error().message;
    EXPECT_EQ(verify->rate, 100u << 20);
    EXPECT_EQ(verify->timeout, std::chrono::seconds(5));
    EXPECT_EQ(parse({"list", "--help"})->command, Command::kHelp);
    EXPECT_EQ(parse({"--version"})->command, Command::kVersion);
    EXPECT_THAT(parse({"list", "--", "--prefix"})->arguments, ElementsAre("--prefix"));
}

TEST(CommandLineTest, SaysWhatIsWrong) {
    EXPECT_THAT(complaint({}), HasSubstr("a command is missing"));
    EXPECT_THAT(complaint({"erase"}), HasSubstr("'erase'"));
    EXPECT_THAT(complaint({"status", "more"}), HasSubstr("no argument"));
    EXPECT_THAT(complaint({"put", "key"}), HasSubstr("a key and a file"));
    EXPECT_THAT(complaint({"status", "--rate=1"}), HasSubstr("status has no option --rate"));
    EXPECT_THAT(complaint({"verify", "--rate=fast"}), HasSubstr("'fast'"));
    EXPECT_THAT(complaint({"verify", "--rate=0"}), HasSubstr("bytes a second"));
    EXPECT_THAT(complaint({"evict", "--regions=0", "1"}), HasSubstr("from 1 on"));
    // Seconds beyond the clock would be a time that has passed.
    for (const char* timeout : {"0", "10000000000", "18446744073709551615", "-1", "1.5", ""}) {
        EXPECT_THAT(complaint({"status", std::string("--timeout=") + timeout}),
                    HasSubstr("from 1 to 2678400"))
            << timeout;
    }
    EXPECT_THAT(complaint({"evict", "--regions"}), HasSubstr("lacks its value"));
    EXPECT_THAT(complaint({"list", "--colour"}), HasSubstr("--colour"));
}

TEST(CommandLineTest, TheHelpTellsOfEveryCommand) {
    for (const char* command :
         {"status", "list", "get", "put", "verify", "evict", "forget", "rebuild", "check"}) {
        EXPECT_THAT(std::string(kHelp), HasSubstr(std::string("\n") + command + " "));
    }
}

}  // namespace
}  // namespace mooncake::store::tool
