// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "admin_fixture.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CommandLineTest : public AdminTest {
 protected:
    void refuses(const std::vector<std::string>& arguments, const std::string& reason) {
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.status, 2);
        EXPECT_EQ(outcome.out, "");
        EXPECT_THAT(outcome.err, AllOf(HasSubstr(reason), HasSubstr("--help")));
    }
};

TEST_F(CommandLineTest, WrongUsage) {
    refuses({}, "a command is missing");
    refuses({"show"}, "no command 'show'");
    refuses({"list", "clean"}, "'clean' is not an option");
    refuses({"list", "--jason"}, "no option '--jason'");
    refuses({"--jason", "list"}, "no option '--jason'");
    refuses({"list", "-j"}, "no option -j");
    refuses({"list", "--json=1"}, "'--json=1': this option takes no value");
    refuses({"check", "--role"}, "'--role' lacks its value");
    refuses({"check", "--role=boss"}, "--role='boss': it takes target");
    refuses({"check", "--trtype=fc"}, "--trtype='fc': it takes tcp, rdma");
}

// An option that a command would ignore is a misunderstanding: nothing may happen.
TEST_F(CommandLineTest, OptionsOfOtherCommands) {
    refuses({"list", "--dry-run"}, "list has no option --dry-run");
    refuses({"clean", "--all"}, "clean has no option --all");
    refuses({"check", "--dry-run"}, "check has no option --dry-run");
}

// Who asks for JSON reads nothing else.
TEST_F(CommandLineTest, WrongUsageInJson) {
    for (const auto& [arguments, reason] :
         std::vector<std::pair<std::vector<std::string>, std::string>>{
             {{"--json"}, "a command is missing"},
             {{"clean", "--json"}, "clean has no option --json"},
             {{"list", "--jason", "--json"}, "no option '--jason'"}}) {
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.status, 2);
        EXPECT_EQ(outcome.err, "");
        EXPECT_EQ(outcome.json()["schema"].asInt(), 1);
        EXPECT_EQ(outcome.json()["error"]["code"].asString(), "usage");
        EXPECT_THAT(outcome.json()["error"]["message"].asString(), HasSubstr(reason));
    }
}

TEST_F(CommandLineTest, HelpTellsAll) {
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"--help"}, {"-h"}, {"list", "--help"}, {"--help", "nonsense"}}) {
        const Outcome outcome = run(arguments);
        EXPECT_EQ(outcome.status, 0);
        for (const char* word : {"list", "clean", "check", "--all", "--json", "--dry-run", "--role",
                                 "--trtype", "Exit status"}) {
            EXPECT_THAT(outcome.out, HasSubstr(word));
        }
    }
}

TEST_F(CommandLineTest, TellsItsVersion) {
    const Outcome outcome = run({"--version"});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, testing::MatchesRegex("nvmeof_generic_admin [0-9.]+\n"));
}

TEST_F(CommandLineTest, OptionsMayComeFirst) {
    EXPECT_EQ(run({"--json", "list"}).json()["subsystems"].size(), 0u);
    EXPECT_EQ(run({"clean", "--dry-run"}).status, 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::admin
