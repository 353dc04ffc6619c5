// SPDX-License-Identifier: Apache-2.0
// Work in a process of its own, and how its end is told.
#include "bounded_run.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <ostream>
#include <sstream>
#include <stdexcept>

#include "temp_dir.h"
#include "text_file.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Ended {
    int status;
    std::string out, err;
};

Ended run(const Work& work, std::optional<std::chrono::milliseconds> limit = std::nullopt) {
    std::ostringstream out, err;
    const int status = runBounded(work, limit, out, err);
    return {status, out.str(), err.str()};
}

TEST(BoundedRun, PassesOnWhatTheWorkSays) {
    const Ended ended = run([](std::ostream& out, std::ostream& err) {
        out << std::string(100000, 'o');
        err << "a complaint\n";
        return 7;
    });
    EXPECT_EQ(ended.status, 7);
    EXPECT_EQ(ended.out, std::string(100000, 'o'));
    EXPECT_EQ(ended.err, "a complaint\n");
}

TEST(BoundedRun, WorkThatThrowsHasFailedAndSaysWhy) {
    const Ended ended = run([](std::ostream& out, std::ostream&) -> int {
        out << "begun\n";
        throw std::runtime_error("there is no such thing");
    });
    EXPECT_EQ(ended.status, 1);
    EXPECT_EQ(ended.out, "begun\n");
    EXPECT_EQ(ended.err, "there is no such thing\n");
}

// No disk hangs then.
TEST(BoundedRun, AProcessThatIsKilledIsToldFromOneThatHangs) {
    const Ended killed = run([](std::ostream&, std::ostream&) { return raise(SIGKILL); });
    EXPECT_EQ(killed.status, 1);
    EXPECT_THAT(killed.err, AllOf(HasSubstr("signal 9 (Killed)"), Not(HasSubstr("hangs"))));
    const Ended gone = run([](std::ostream&, std::ostream&) -> int { _exit(0); });
    EXPECT_EQ(gone.status, 1);
    EXPECT_THAT(gone.err, AllOf(HasSubstr("has ended"), Not(HasSubstr("hangs"))));
    const Ended hung = run(
        [](std::ostream&, std::ostream&) -> int {
            while (true) pause();
        },
        std::chrono::milliseconds(1));
    EXPECT_EQ(hung.status, 1);
    EXPECT_THAT(hung.err, HasSubstr("a disk that hangs"));
}

// As an attribute of an object that goes in the middle of a look.
TEST(TextFile, WhatCanBeOpenedAndNotReadIsNothing) {
    const nvmeof_generic::TempDir folder;
    EXPECT_EQ(readText(folder.path()), std::nullopt);
    EXPECT_EQ(readLine(folder.path()), std::nullopt);
    EXPECT_EQ(readText(folder.path() + "/none"), std::nullopt);
    EXPECT_EQ(readText("/proc/self/comm").value_or("").empty(), false);
    EXPECT_GT(readText("/proc/self/maps").value_or("").size(), 4096u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::admin
