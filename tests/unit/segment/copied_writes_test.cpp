// SPDX-License-Identifier: Apache-2.0
#include "copied_writes.h"

#include "segment_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

RemoteDescriptor target(const std::string& trtype, bool onAnotherKernel) {
    RemoteDescriptor descriptor;
    descriptor.addresses = {{trtype, "ipv4", "192.0.2.1", "4420"}};
    descriptor.onAnotherKernel = onAnotherKernel;
    return descriptor;
}

TEST(CopiedWrites, AreThoseOfKernelsThatJoinPages) {
    const RemoteDescriptor here = target("tcp", false);
    for (const char* release : {"5.10.0-30-amd64", "5.18.0", "6.1.0-44-amd64", "6.4.16", "6.4",
                                "4.19", "", "generic", "6"}) {
        EXPECT_TRUE(mustCopyWrites(release, here)) << release;
    }
    for (const char* release : {"6.5.0", "6.12.95+deb12-amd64", "6.18.44", "7.0", "10.1"}) {
        EXPECT_FALSE(mustCopyWrites(release, here)) << release;
    }
}

TEST(CopiedWrites, AreOverTcpWithinOneKernel) {
    EXPECT_TRUE(mustCopyWrites("6.1.0", target("tcp", false)));
    EXPECT_FALSE(mustCopyWrites("6.1.0", target("tcp", true)));
    EXPECT_FALSE(mustCopyWrites("6.1.0", target("rdma", false)));
    RemoteDescriptor mixed = target("rdma", false);
    mixed.addresses.push_back({"tcp", "ipv4", "192.0.2.2", "4420"});
    EXPECT_TRUE(mustCopyWrites("6.1.0", mixed)) << "over one of its paths";
}

class CopiedWritesTest : public RemoteSegmentTest {
 protected:
    // What the pool is told of a device that is opened.
    bool copies(const std::string& release, bool onAnotherKernel, bool local) {
        context.kernelRelease = release;
        initiator.local = local;
        start();
        descriptor.onAnotherKernel = onAnotherKernel;
        EXPECT_EQ(run(1, 0, IoOp::kWrite), 0);
        return pool.devices.back()->spec.copyWrites;
    }
};

TEST_F(CopiedWritesTest, ThePoolIsTold) {
    EXPECT_TRUE(copies("6.1.0", false, false));
}
TEST_F(CopiedWritesTest, NotForATargetElsewhere) {
    EXPECT_FALSE(copies("6.1.0", true, false));
}
TEST_F(CopiedWritesTest, NotForAFileThatNeedsNoNetwork) {
    EXPECT_FALSE(copies("6.1.0", false, true));
}
TEST_F(CopiedWritesTest, NotForANewerKernel) {
    EXPECT_FALSE(copies("6.12.95", false, false));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
