// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <sys/stat.h>

#include "cluster.h"
#include "kernel_state.h"

namespace {

using namespace mooncake;
using namespace test_support;

constexpr size_t kSize = 1 << 20;

// Rounds of everything leave the kernel and the process as they were.
TEST(Leftovers, None) {
    MetadataServer metadata;
    const std::string path = testFolder() + "/left";
    makeFile(path, kSize);
    AlignedBuffer buffer(kSize);
    fillPattern(1, 0, buffer.data(), kSize);
    const auto round = [&] {
        Node target(metadata, "target", targetAddress("tcp"));
        Node initiator(metadata, "initiator");
        const uint32_t whole = target.add(path, kSize);
        const SegmentID segment = initiator.engine().openSegment("target");
        EXPECT_TRUE(initiator.write(segment, whole, 0, buffer.data(), kSize));
        EXPECT_EQ(target.engine().unregisterLocalFile(path), 0);
        const uint32_t half = target.add(path, kSize / 2);
        EXPECT_TRUE(initiator.write(segment, half, 0, buffer.data(), kSize / 2));
        initiator.end();
    };
    round();  // what is made once and kept (logs, loop device nodes) is there after the first round
    const auto objects = nvmetObjects();
    const auto controllers = nvmeControllers();
    const auto descriptors = openDescriptors();
    const auto loops = boundLoopDevices();
    EXPECT_EQ(controllers.size(), 0u);
    for (int i = 0; i < 5; ++i) round();
    EXPECT_EQ(nvmetObjects(), objects);
    EXPECT_TRUE(eventually([&] { return nvmeControllers() == controllers; }));
    EXPECT_TRUE(eventually([&] { return boundLoopDevices() == loops; }));
    EXPECT_EQ(openDescriptors(), descriptors);
}

// Case 17: what others set up stays as it is.
TEST(Leftovers, StrangersAreLeftAlone) {
    const std::string root = "/sys/kernel/config/nvmet";
    const std::string subsystem = root + "/subsystems/nqn.2020-01.org.example:stranger";
    const std::string port = root + "/ports/4", host = root + "/hosts/nqn.2020-01.org.example:host";
    for (const std::string& made : {subsystem, port, host})
        ASSERT_EQ(mkdir(made.c_str(), 0755), 0) << made;
    const auto objects = nvmetObjects();
    {
        MetadataServer metadata;
        const std::string path = testFolder() + "/among_strangers";
        makeFile(path, kSize);
        Node target(metadata, "target", targetAddress("tcp"));
        target.add(path, kSize);
        EXPECT_GT(nvmetObjects().size(), objects.size());
    }
    EXPECT_EQ(nvmetObjects(), objects);
    for (const std::string& made : {subsystem, port, host})
        EXPECT_EQ(rmdir(made.c_str()), 0) << made;
}

// Case 14: an address that is not this host's.
TEST(Leftovers, NoneAfterAFailedInstall) {
    const auto objects = nvmetObjects();
    MetadataServer metadata;
    TransferEngine engine(false);
    ASSERT_EQ(engine.init(metadata.url(), "target"), 0);
    for (const char* address :
         {"trtype=tcp traddr=192.0.2.77", "trtype=tcp traddr=nowhere", "nonsense"}) {
        std::string text = address;
        void* arguments[] = {text.data()};
        EXPECT_EQ(engine.installTransport("nvmeof_generic", arguments), nullptr) << address;
        EXPECT_EQ(nvmetObjects(), objects) << address;
    }
}

}  // namespace
