// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "cluster.h"
#include "kernel_state.h"
#include "transfer_metadata.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;

// Case 6, the whole way: who reads a file that is not what it was is told so, who looks at the
// segment does not find it there, and its owner may register what is there now.
TEST(LostFile, IsWithdrawn) {
    MetadataServer metadata;
    const std::string folder = testFolder();
    const std::string path = folder + "/lost", neighbour = folder + "/lost_neighbour";
    AlignedBuffer buffer(kSize);
    for (const std::string& file : {path, neighbour}) makeFile(file, kSize);
    Node target(metadata, "target", targetAddress("tcp"));
    Node initiator(metadata, "initiator");
    const uint32_t lost = target.add(path, kSize), kept = target.add(neighbour, kSize);
    const SegmentID segment = initiator.engine().openSegment("target");
    fillPattern(1, 0, buffer.data(), kSize);
    ASSERT_TRUE(initiator.write(segment, lost, 0, buffer.data(), kSize));
    ASSERT_TRUE(initiator.write(segment, kept, 0, buffer.data(), kSize));

    std::filesystem::resize_file(path, kSize / 2);
    const auto published = [&](uint32_t id) {
        const auto descriptor = initiator.engine().getMetadata()->getSegmentDescByID(segment, true);
        if (!descriptor) return false;
        return std::any_of(descriptor->file_buffers.begin(), descriptor->file_buffers.end(),
                           [id](const auto& file) { return file.id == id; });
    };
    EXPECT_TRUE(eventually([&] { return !published(lost); }));
    EXPECT_TRUE(published(kept));
    EXPECT_TRUE(eventually([&] { return !initiator.read(segment, lost, 0, buffer.data(), 4096); }));
    EXPECT_FALSE(initiator.write(segment, lost, kSize - 4096, buffer.data(), 4096));
    EXPECT_EQ(std::filesystem::file_size(path), kSize / 2) << "no remote write extends it again";
    ASSERT_TRUE(initiator.read(segment, kept, 0, buffer.data(), kSize));
    EXPECT_EQ(comparePattern(1, 0, buffer.data(), kSize), "");

    EXPECT_EQ(target.engine().unregisterLocalFile(path), 0);
    const uint32_t again = target.add(path, kSize / 2);
    EXPECT_TRUE(initiator.read(segment, again, 0, buffer.data(), kSize / 2));
    EXPECT_EQ(comparePattern(1, 0, buffer.data(), kSize / 2), "");
    // It is the same file, smaller: who had its old number goes on, within the new size.
    EXPECT_TRUE(initiator.read(segment, lost, 0, buffer.data(), kSize / 2));
    EXPECT_FALSE(initiator.read(segment, lost, kSize / 2, buffer.data(), 4096));
    EXPECT_TRUE(initiator.read(segment, lost, 0, buffer.data(), 4096));
}

}  // namespace
