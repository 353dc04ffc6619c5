// SPDX-License-Identifier: Apache-2.0
#include "command_line.h"

#include <gmock/gmock.h>

#include <vector>

namespace mooncake::file_server {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Result<CommandLine> parse(std::vector<std::string> words) {
    words.insert(words.begin(), "transfer_engine_file_server");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return parseCommandLine(static_cast<int>(words.size()), argv.data());
}

TEST(CommandLine, TakesWhatTheHelpSays) {
    using Action = CommandLine::Action;
    EXPECT_EQ(parse({}).value().action, Action::kServe);
    EXPECT_THAT(parse({}).value().config, testing::EndsWith("/transfer_engine_file_server.conf"));
    EXPECT_EQ(parse({"--config", "/a"}).value().config, "/a");
    const auto line = parse({"--check", "--config=/b"});
    EXPECT_EQ(line.value().config, "/b");
    EXPECT_EQ(line.value().action, Action::kCheck);
    EXPECT_FALSE(line.value().takeover);
    EXPECT_TRUE(parse({"--takeover"}).value().takeover);
    EXPECT_EQ(parse({"--check", "--help"}).value().action, Action::kHelp);
    EXPECT_EQ(parse({"-h"}).value().action, Action::kHelp);
    EXPECT_EQ(parse({"--version"}).value().action, Action::kVersion);
    EXPECT_TRUE(parse({"--json", "--check"}).value().json);
    const auto reload = parse({"--reload", "--control=/run/x/control"});
    EXPECT_EQ(reload.value().action, Action::kReload);
    EXPECT_EQ(reload.value().control, "/run/x/control");
}

TEST(CommandLine, RefusesTheRest) {
    const auto refuses = [](const std::vector<std::string>& words, const std::string& reason) {
        const auto line = parse(words);
        ASSERT_FALSE(line.ok());
        EXPECT_THAT(line.error().message, AllOf(HasSubstr(reason), HasSubstr("--help")));
    };
    refuses({"--config"}, "'--config' lacks its value");
    refuses({"--config="}, "--config needs the path");
    refuses({"--checks"}, "there is no option '--checks'");
    refuses({"--check=yes"}, "'--check=yes'");
    refuses({"--json"}, "--json is an option of --check");
    refuses({"--reload", "--json"}, "--json is an option of --check");
    refuses({"--check", "--reload"}, "exclude each other");
    refuses({"--control=socket"}, "--control needs the absolute path");
    refuses({"-c"}, "there is no option '-c'");
    refuses({"/etc/x.conf"}, "'/etc/x.conf' is not an option");
}

}  // namespace
}  // namespace mooncake::file_server
