// SPDX-License-Identifier: Apache-2.0
// Where a client's numbers are written, and under which label.
#include "statistics_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace mooncake::store {
namespace {

using ::testing::HasSubstr;

// Variables of the environment, as they are set until its end.
class Variables {
 public:
    explicit Variables(const std::map<std::string, std::string>& values) : values_(values) {
        for (const auto& [name, value] : values_) setenv(name.c_str(), value.c_str(), 1);
    }
    ~Variables() {
        for (const auto& [name, value] : values_) unsetenv(name.c_str());
    }

 private:
    const std::map<std::string, std::string> values_;
};

class StatisticsFileTest : public testing::Test {
 protected:
    StatisticsFileTest() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }
    ~StatisticsFileTest() override { std::filesystem::remove_all(folder_); }
    size_t entries() const {
        const std::filesystem::directory_iterator all(folder_);
        return static_cast<size_t>(std::distance(begin(all), end(all)));
    }

    std::string folder_ = testing::TempDir() + "statistics.XXXXXX";
};

std::string content(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

TEST(StatisticsOptionsTest, WithoutVariablesNothingIsWritten) {
    const auto options = statisticsOptions();
    ASSERT_TRUE(options);
    EXPECT_EQ(options->file, "");
    EXPECT_EQ(options->interval, std::chrono::seconds(10));
    EXPECT_EQ(options->process, program_invocation_short_name);
}

TEST(StatisticsOptionsTest, EachVariableIsTaken) {
    const Variables set({{"MC_STORE_STATS_FILE", "/a/b.prom"},
                         {"MC_STORE_STATS_INTERVAL", "3600"},
                         {"MC_STORE_STATS_LABEL", "rank-3"}});
    const auto options = statisticsOptions();
    ASSERT_TRUE(options);
    EXPECT_EQ(options->file, "/a/b.prom");
    EXPECT_EQ(options->interval, std::chrono::hours(1));
    EXPECT_EQ(options->process, "rank-3");
}

TEST(StatisticsOptionsTest, WhatIsMalformedIsAnErrorThatNamesIt) {
    const std::pair<std::string, std::string> all[] = {
        {"FILE", ""},         {"FILE", "relative"},
        {"FILE", "/folder/"}, {"INTERVAL", ""},
        {"INTERVAL", "0"},    {"INTERVAL", "3601"},
        {"INTERVAL", "5 s"},  {"INTERVAL", "-1"},
        {"LABEL", ""},        {"LABEL", "a b"},
        {"LABEL", "\""},      {"LABEL", "\\"},
        {"LABEL", "\xc3"},    {"LABEL", std::string(129, 'a')},
    };
    for (const auto& [name, value] : all) {
        const std::map<std::string, std::string> one = {{"MC_STORE_STATS_" + name, value}};
        const Variables set(one);
        const auto options = statisticsOptions();
        ASSERT_FALSE(options) << name << "=" << value;
        EXPECT_EQ(options.error().failure, Failure::kInvalid);
        EXPECT_THAT(options.error().message, HasSubstr("MC_STORE_STATS_" + name));
    }
}

// A name may hold what would end a label.
TEST(StatisticsOptionsTest, AnyNameOfAProgramIsALabel) {
    char* const name = program_invocation_short_name;
    std::string odd = "a \"b\\\n" + std::string(200, 'c');
    program_invocation_short_name = odd.data();
    const auto options = statisticsOptions();
    program_invocation_short_name = name;
    ASSERT_TRUE(options);
    EXPECT_EQ(options->process, "a??b??" + std::string(122, 'c'));
}

TEST(WithProcessTest, EachSeriesHasIt) {
    EXPECT_EQ(withProcess("# HELP a b {c} d\n# TYPE a counter\na 1\nb{c=\"} {\",d=\" \"} 2\n", "p"),
              "# HELP a b {c} d\n# TYPE a counter\na{process=\"p\"} 1\n"
              "b{process=\"p\",c=\"} {\",d=\" \"} 2\n");
    EXPECT_EQ(withProcess("", "p"), "");
}

TEST_F(StatisticsFileTest, IsReplacedAsAWholeForEverybody) {
    const std::string path = folder_ + "/store.prom";
    const auto file = StatisticsFile::claim(path);
    ASSERT_TRUE(file);
    const mode_t mask = umask(0077);
    ASSERT_TRUE(file->write("first"));
    std::ifstream before(path);
    ASSERT_TRUE(file->write("second"));
    umask(mask);
    std::string seen;
    before >> seen;
    EXPECT_EQ(seen, "first");
    EXPECT_EQ(content(path), "second");
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0644u);
    EXPECT_EQ(entries(), 1u);
}

TEST_F(StatisticsFileTest, WhatCannotBeWrittenIsAnErrorAndLeavesNothing) {
    const auto nowhere = StatisticsFile::claim(folder_ + "/no/store.prom");
    const auto written = nowhere->write("text");
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, HasSubstr(folder_ + "/no/store.prom"));
    EXPECT_THAT(written.error().message, HasSubstr("No such file"));
    const std::string path = folder_ + "/taken";
    std::filesystem::create_directories(path + "/full");
    EXPECT_FALSE(StatisticsFile::claim(path)->write("text"));
    EXPECT_EQ(entries(), 1u);
}

TEST_F(StatisticsFileTest, TheFirstClientOfAProcessHasIt) {
    const std::string path = "/never/written";
    auto first = StatisticsFile::claim(path);
    ASSERT_TRUE(first);
    EXPECT_FALSE(StatisticsFile::claim(path));
    EXPECT_TRUE(StatisticsFile::claim("/another"));
    first.reset();
    EXPECT_TRUE(StatisticsFile::claim(path));
    EXPECT_FALSE(StatisticsFile::claim(""));
}

}  // namespace
}  // namespace mooncake::store
