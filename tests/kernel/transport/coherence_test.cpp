// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>

#include "cluster.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;

class Coherence : public ::testing::TestWithParam<std::string> {
 protected:
    void SetUp() override { setenv("MC_NVMEOF_GENERIC_DIRECT_IO", GetParam().c_str(), 1); }
    void TearDown() override { unsetenv("MC_NVMEOF_GENERIC_DIRECT_IO"); }
};

// Cases 41 and 42, decision 6: what is COMPLETED is in the file, and a read shows what another host
// wrote since the last one. The other host is played by direct I/O on the exported file itself.
TEST_P(Coherence, EachReadIsFreshAndEachWriteHasArrived) {
    MetadataServer metadata;
    Node target(metadata, "target", targetAddress("tcp"));
    Node initiator(metadata, "initiator");
    const std::string path = testFolder() + "/coherent_" + GetParam();
    makeFile(path, kSize);
    const uint32_t file = target.add(path, kSize);
    const SegmentID segment = initiator.engine().openSegment("target");
    AlignedBuffer mine(kSize), theirs(kSize);
    for (uint64_t round = 0; round < 10; ++round) {
        SCOPED_TRACE(round);
        fillPattern(2 * round, 0, theirs.data(), kSize);
        writeDirect(path, 0, theirs.data(), kSize);
        for (size_t length : {size_t{4096}, size_t{65536}, kSize}) {
            ASSERT_TRUE(initiator.read(segment, file, 0, mine.data(), length));
            ASSERT_EQ(comparePattern(2 * round, 0, mine.data(), length), "");
        }
        fillPattern(2 * round + 1, 0, mine.data(), kSize);
        ASSERT_TRUE(initiator.write(segment, file, 8192, mine.data() + 8192, 65536));
        ASSERT_EQ(comparePattern(2 * round + 1, 8192, readDirect(path, 8192, 65536).data(), 65536),
                  "");
        // What lies around the written range is the other's still.
        ASSERT_EQ(comparePattern(2 * round, 0, readDirect(path, 0, 8192).data(), 8192), "");
        ASSERT_EQ(comparePattern(2 * round, 73728, readDirect(path, 73728, 8192).data(), 8192), "");
    }
}

INSTANTIATE_TEST_SUITE_P(Mode, Coherence, ::testing::Values("auto", "on", "off"),
                         [](const auto& suite) { return suite.param; });

}  // namespace
