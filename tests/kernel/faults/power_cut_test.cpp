// SPDX-License-Identifier: Apache-2.0
// The initiator's side of power_cut_test.sh, which cuts the power of the target's host and then of
// this one. It prints what has come about, one line for each event.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "cluster.h"
#include "hosts.h"
#include "kernel_state.h"
#include "load.h"
#include "transfer_metadata.h"

namespace {

using namespace mooncake;

constexpr uint64_t kBytes = 4 << 20;

void say(const std::string& line) {
    puts(line.c_str());
    fflush(stdout);
}

std::string checksum(const void* data, size_t length) {
    const std::string path = testFolder() + "/copy";
    std::ofstream(path, std::ios::binary)
        .write(static_cast<const char*>(data), static_cast<std::streamsize>(length));
    test_support::ChildProcess sum({"md5sum", path});
    EXPECT_EQ(sum.wait(), 0);
    return sum.output().substr(0, sum.output().find(' '));
}

// Case 42, and the power cut of docs/failure-model.md.
TEST(PowerCut, DISABLED_Initiator) {
    const char* port = getenv("NVMEOF_TEST_METADATA_PORT");
    ASSERT_NE(port, nullptr) << "run it with power_cut_test.sh";
    MetadataServer metadata(atoi(port), "0.0.0.0");
    Node node(metadata, "initiator");
    SegmentID segment = 0;
    ASSERT_TRUE(eventually(
        [&] {
            segment = node.engine().openSegment("power");
            return segment != static_cast<SegmentID>(-1);
        },
        120));
    {
        Load load(node, 1);
        load.add("power", "file", 1, kBytes);
        ASSERT_TRUE(load.healthy());
        say("under load");
        ASSERT_TRUE(load.fails("power", std::chrono::seconds(120)));
        ASSERT_TRUE(load.stop());
        const Load::Report report = load.report();
        EXPECT_EQ(report.wrong, "");
        char text[100];
        snprintf(text, sizeof(text), "every request ended, the slowest after %.1f s",
                 report.slowest);
        say(text);
    }
    // Another machine has this name now, with an empty file: not the one that 1 means.
    test_support::AlignedBuffer buffer(kBytes);
    uint32_t file = 0;
    ASSERT_TRUE(eventually(
        [&] {
            const auto record = node.engine().getMetadata()->getSegmentDescByID(segment, true);
            if (!record || record->file_buffers.size() != 1) return false;
            file = record->file_buffers[0].id;
            return file != 1 && node.read(segment, file, 0, buffer.data(), 4096);
        },
        150));
    EXPECT_FALSE(node.read(segment, 1, 0, buffer.data(), 4096));
    say("healed");
    test_support::fillPattern(7, 0, buffer.data(), kBytes);
    const std::string sum = checksum(buffer.data(), kBytes);
    ASSERT_TRUE(node.write(segment, file, 0, buffer.data(), kBytes));
    say("written " + sum);
    // Until the power fails.
    ASSERT_FALSE(eventually([] { return false; }, 200));
}

}  // namespace
