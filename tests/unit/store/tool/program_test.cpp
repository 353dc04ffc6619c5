// SPDX-License-Identifier: Apache-2.0
// The program without a store: what cannot be read or written, and what is thrown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/wait.h>

#include <sstream>

#include "file_store.h"

namespace mooncake::store::tool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

int runOn(std::ostream& out, std::ostream& err, std::vector<std::string> words) {
    words.insert(words.begin(), "mooncake_file_store");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::istringstream in;
    Output output(in, out, err, false);
    return run(static_cast<int>(words.size()), argv.data(), output);
}

// By the shell, which has the redirections.
std::pair<int, std::string> sh(const std::string& arguments) {
    FILE* const pipe = popen((FILE_STORE_PROGRAM " " + arguments).c_str(), "r");
    std::string text;
    char piece[1024];
    while (const size_t got = fread(piece, 1, sizeof(piece), pipe)) text.append(piece, got);
    const int status = pclose(pipe);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text};
}

TEST(FileStoreProgram, AFolderIsNoObject) {
    std::ostringstream out, err;
    EXPECT_EQ(runOn(out, err, {"put", "key", "/proc/self"}), 1);
    EXPECT_THAT(err.str(), AllOf(HasSubstr("'/proc/self' cannot be read"),
                                 HasSubstr("Is a directory"), Not(HasSubstr("filebuf"))));
}

// What came before is not the whole of it.
TEST(FileStoreProgram, AStandardInputThatCannotBeReadIsNoShorterOne) {
    const auto [status, said] = sh("put key - 2>&1 < /proc/self");
    EXPECT_EQ(status, 1);
    EXPECT_THAT(said, HasSubstr("the standard input cannot be read: Is a directory"));
}

TEST(FileStoreProgram, AFullStandardOutputIsAFailure) {
    const auto [status, said] = sh("--help 2>&1 > /dev/full");
    EXPECT_EQ(status, 1);
    EXPECT_THAT(said, HasSubstr("standard output"));
}

TEST(FileStoreProgram, WhatIsThrownIsAFailure) {
    struct Broken : std::streambuf {
    } broken;
    std::ostream out(&broken);
    out.exceptions(std::ios::badbit | std::ios::failbit);
    std::ostringstream err;
    EXPECT_EQ(runOn(out, err, {"--version"}), 1);
    EXPECT_NE(err.str(), "");
}

}  // namespace
}  // namespace mooncake::store::tool
