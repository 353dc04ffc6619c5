// SPDX-License-Identifier: Apache-2.0
#include "descriptor_check.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

TransferMetadata::SegmentDesc goodDescriptor() {
    TransferMetadata::SegmentDesc descriptor;
    descriptor.name = "node-1";
    descriptor.protocol = "nvmeof_generic";
    descriptor.nvmeof_generic_trid = {"tcp", "ipv4", "192.0.2.1", "4420",
                                      "nqn.2026-01.org.example:a"};
    descriptor.file_buffers = {{1, "/a", 4096, 4096}, {4294967294u, "/b", 1ull << 40, 512}};
    return descriptor;
}

TEST(DescriptorCheck, TakesOverWhatIsRight) {
    const auto checked = checkDescriptor(goodDescriptor(), {});
    ASSERT_TRUE(checked.ok()) << checked.error().message;
    EXPECT_EQ(checked.value().subsystemNqn, "nqn.2026-01.org.example:a");
    EXPECT_EQ(checked.value().address, (TransportAddress{"tcp", "ipv4", "192.0.2.1", "4420"}));
    EXPECT_EQ(checked.value().fileSizes,
              (std::unordered_map<uint32_t, uint64_t>{{1, 4096}, {4294967294u, 1ull << 40}}));
}

// Cases 25 and 28: what a stranger wrote into the metadata service reaches no system call.
TEST(DescriptorCheck, RefusesHostileSegments) {
    const auto refused = [](auto change) {
        auto descriptor = goodDescriptor();
        change(descriptor);
        const auto checked = checkDescriptor(descriptor, {});
        return !checked.ok() && checked.error().code == EINVAL &&
               checked.error().message.find("node-1") != std::string::npos;
    };
    EXPECT_TRUE(refused([](auto& d) { d.protocol = "rdma"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.traddr = "192.0.2.1,hostnqn=x"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.traddr = "evil.example.org"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.trtype = "loop"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.trsvcid = "0"; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.subnqn = ""; }));
    EXPECT_TRUE(refused([](auto& d) { d.nvmeof_generic_trid.subnqn += ",x=y"; }));
    EXPECT_TRUE(refused([](auto& d) { d.file_buffers.resize(1025, {1, "/a", 4096, 4096}); }));
}

TEST(DescriptorCheck, AnAddressOutsideOfTheAllowedNetworksIsRefused) {
    const auto allowed = NetworkList::parse("198.51.100.0/24,192.0.2.0/24");
    const auto others = NetworkList::parse("198.51.100.0/24,fd00::/8");
    ASSERT_TRUE(allowed.ok() && others.ok());
    EXPECT_TRUE(checkDescriptor(goodDescriptor(), allowed.value()).ok());
    const auto refused = checkDescriptor(goodDescriptor(), others.value());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, EACCES);
    EXPECT_NE(refused.error().message.find("192.0.2.1"), std::string::npos);
    EXPECT_NE(refused.error().message.find("ALLOWED_NETWORKS"), std::string::npos);
}

TEST(DescriptorCheck, ABadFileIsLeftOutAlone) {
    auto descriptor = goodDescriptor();
    descriptor.file_buffers.push_back({0, "/zero-id", 4096, 4096});
    descriptor.file_buffers.push_back({UINT32_MAX, "/broadcast-id", 4096, 4096});
    descriptor.file_buffers.push_back({5, "/empty", 0, 4096});
    descriptor.file_buffers.push_back({6, "/huge", UINT64_MAX, 4096});
    descriptor.file_buffers.push_back({7, "/twice", 4096, 4096});
    descriptor.file_buffers.push_back({7, "/twice", 8192, 4096});
    descriptor.file_buffers.push_back({7, "/thrice", 8192, 4096});
    const auto checked = checkDescriptor(descriptor, {});
    ASSERT_TRUE(checked.ok()) << checked.error().message;
    EXPECT_EQ(checked.value().fileSizes.size(), 2u);
    EXPECT_TRUE(checked.value().fileSizes.contains(1));
    EXPECT_TRUE(checked.value().fileSizes.contains(4294967294u));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
