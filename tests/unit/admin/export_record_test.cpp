// SPDX-License-Identifier: Apache-2.0
#include "export_record.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kNqn[] = "nqn.2014-08.org:record";

std::optional<ExportedNames> readOwn(const std::string& nqn = kNqn) {
    return readExportRecord("/proc", getpid(), nqn);
}

TEST(ExportRecord, TellsWhatIsExportedNow) {
    ExportRecord record(kNqn, "a segment");
    ASSERT_TRUE(readOwn().has_value());
    EXPECT_EQ(readOwn()->segment, "a segment");
    EXPECT_TRUE(readOwn()->files.empty());

    record.put(7, "/with space\nand line", uint64_t{1} << 40);
    record.put(4294967294, "", 512);
    record.put(8, "/b", 4096);
    record.remove(8);
    const auto names = readOwn();
    ASSERT_EQ(names->files.size(), 2u);
    EXPECT_EQ(names->files.at(7).path, "/with space\nand line");
    EXPECT_EQ(names->files.at(7).size, uint64_t{1} << 40);
    EXPECT_EQ(names->files.at(4294967294).path, "");
}

TEST(ExportRecord, IsThatOfOneSubsystem) {
    ExportRecord record(kNqn, "one"), other(std::string(kNqn) + "2", "");
    EXPECT_EQ(readOwn()->segment, "one");
    EXPECT_EQ(readOwn(std::string(kNqn) + "2")->segment, "");
    EXPECT_FALSE(readOwn(std::string(kNqn) + "3").has_value());
}

TEST(ExportRecord, GoesWithItsTarget) {
    { ExportRecord record(kNqn, "gone"); }
    EXPECT_FALSE(readOwn().has_value());
}

// Who reads in the middle of a change has the state before or after it.
TEST(ExportRecord, IsNeverHalf) {
    ExportRecord record(kNqn, "busy");
    std::atomic<bool> done = false;
    std::thread writer([&] {
        for (int i = 0; i < 300; ++i) {
            for (uint32_t nsid = 1; nsid <= 3; ++nsid) record.put(nsid, "/path", 4096);
            for (uint32_t nsid = 3; nsid >= 1; --nsid) record.remove(nsid);
        }
        done = true;
    });
    while (!done) {
        const auto names = readOwn();
        if (!names) continue;  // replaced at each look
        EXPECT_EQ(names->segment, "busy");
        uint32_t expected = 0;
        for (const auto& [nsid, file] : names->files) {
            EXPECT_EQ(nsid, ++expected);
            EXPECT_EQ(file.path, "/path");
        }
    }
    writer.join();
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
