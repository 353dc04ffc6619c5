// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/initiator/namespace_identity.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <filesystem>

#include "fake_host.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr uint64_t kSize = uint64_t{2048} * 512;

class NamespaceIdentityTest : public testing::Test {
 protected:
    void SetUp() override { host.addController({.name = "nvme0"}); }

    void addDisk(const FakeDisk& disk) {
        fs::remove_all(host.controllerDir("nvme0") / disk.name);
        host.addDisk(host.controllerDir("nvme0"), kNqn, disk);
    }
    Result<> check(const std::string& nqn, uint32_t nsid, uint64_t size) {
        const auto identity = readNamespaceIdentity(host.sys(), makedev(259, 1));
        if (!identity.ok()) return identity.error();
        return checkNamespaceIdentity(identity.value(), nqn, nsid, size);
    }
    fs::path attribute(const std::string& name) {
        return host.controllerDir("nvme0") / "nvme0n1" / name;
    }

    FakeHost host;
};

TEST_F(NamespaceIdentityTest, ReadsAllOfIt) {
    addDisk({.name = "nvme0n1", .nsid = 9, .uuid = "ABCDEF00-0000-4000-8000-000000000001"});
    const auto identity = readNamespaceIdentity(host.sys(), makedev(259, 1));
    ASSERT_TRUE(identity.ok()) << identity.error().message;
    EXPECT_EQ(identity.value().deviceName, "nvme0n1");
    EXPECT_EQ(identity.value().subsystemNqn, kNqn);
    EXPECT_EQ(identity.value().nsid, 9u);
    EXPECT_EQ(identity.value().uuid, "abcdef00-0000-4000-8000-000000000001");
    EXPECT_EQ(identity.value().size, kSize);
    EXPECT_EQ(identity.value().blockSize, 4096u);
}

TEST_F(NamespaceIdentityTest, AcceptsTheNamespaceThatWasAskedFor) {
    addDisk({.name = "nvme0n1", .nsid = 9});
    const auto checked = check(kNqn, 9, kSize);
    EXPECT_TRUE(checked.ok()) << checked.error().message;
}

// Case 2: the same NQN and nsid, another uuid.
TEST_F(NamespaceIdentityTest, RefusesAnotherUuid) {
    addDisk({.name = "nvme0n1", .nsid = 9, .uuid = "abcdef00-0000-4000-8000-000000000001"});
    const auto checked = check(kNqn, 9, kSize);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().code, ESTALE);
    EXPECT_THAT(checked.error().message, HasSubstr("abcdef00-0000-4000-8000-000000000001"));
    EXPECT_THAT(checked.error().message, HasSubstr(namespaceUuid(kNqn, 9)));
    EXPECT_THAT(checked.error().message, HasSubstr("by something else than this transport"));
}

// Case 2: the same NQN and nsid, another size: larger is as wrong as smaller.
TEST_F(NamespaceIdentityTest, RefusesAnotherSize) {
    addDisk({.name = "nvme0n1", .nsid = 9});
    for (const uint64_t size : {kSize - 4096, kSize + 4096, uint64_t{0}}) {
        const auto checked = check(kNqn, 9, size);
        ASSERT_FALSE(checked.ok()) << size;
        EXPECT_EQ(checked.error().code, ESTALE);
        EXPECT_THAT(checked.error().message, HasSubstr(std::to_string(size) + " bytes"));
        EXPECT_THAT(checked.error().message, HasSubstr(std::to_string(kSize) + " bytes"));
    }
}

TEST_F(NamespaceIdentityTest, RefusesAnotherSubsystemAndAnotherNsid) {
    addDisk({.name = "nvme0n1", .nsid = 9});
    EXPECT_EQ(check(kOtherNqn, 9, kSize).error().code, ESTALE);
    EXPECT_EQ(check(kNqn, 10, kSize).error().code, ESTALE);
}

// The uuid alone must not decide.
TEST_F(NamespaceIdentityTest, RefusesAnotherNsidOrSubsystemWithTheExpectedUuid) {
    addDisk({.name = "nvme0n1", .nsid = 10, .uuid = namespaceUuid(kNqn, 9)});
    EXPECT_EQ(check(kNqn, 9, kSize).error().code, ESTALE);
    addDisk({.name = "nvme0n1", .nsid = 9, .uuid = namespaceUuid(kOtherNqn, 9)});
    EXPECT_EQ(check(kOtherNqn, 9, kSize).error().code, ESTALE);
}

TEST_F(NamespaceIdentityTest, SaysThatADeviceIsGone) {
    EXPECT_EQ(check(kNqn, 9, kSize).error().code, ENXIO);
    for (const char* missing : {"nsid", "uuid", "size", "device", "queue/logical_block_size"}) {
        addDisk({.name = "nvme0n1", .nsid = 9});
        fs::remove(attribute(missing));
        const auto checked = check(kNqn, 9, kSize);
        ASSERT_FALSE(checked.ok()) << missing;
        EXPECT_EQ(checked.error().code, ENXIO) << missing;
    }
}

TEST_F(NamespaceIdentityTest, RefusesNumbersThatAreNone) {
    for (const char* text : {"", "-1", "0x10", "9 9", "9x", "99999999999999999999"}) {
        addDisk({.name = "nvme0n1", .nsid = 9});
        FakeHost::write(attribute("nsid"), text);
        EXPECT_EQ(check(kNqn, 9, kSize).error().code, EINVAL) << text;
    }
    addDisk({.name = "nvme0n1", .nsid = 9});
    // The kernel takes the size away first when a namespace is removed.
    FakeHost::write(attribute("size"), "0");
    EXPECT_EQ(check(kNqn, 9, 0).error().code, ENXIO);
    // 2^55 sectors are 2^64 bytes: a wrapped size must not look small.
    FakeHost::write(attribute("size"), "36028797018963968");
    EXPECT_EQ(check(kNqn, 9, 0).error().code, EOVERFLOW);
}

TEST_F(NamespaceIdentityTest, ADescriptorMustBeABlockDevice) {
    const UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(fd.valid());
    EXPECT_EQ(checkIdentity(host.sys(), fd.get(), kNqn, 9, kSize).error().code, ENOTBLK);
    EXPECT_EQ(checkIdentity(host.sys(), -1, kNqn, 9, kSize).error().code, EBADF);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
