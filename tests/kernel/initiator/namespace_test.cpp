// SPDX-License-Identifier: Apache-2.0
// Namespaces and their devices, in both of the kernel's ways to name them.
#include <fcntl.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "fixture.h"
#include "host_modules.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/initiator/namespace_identity.h"

namespace initiator_test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

enum class Naming { kMultipath, kPlain };

class NamespaceKernelTest : public InitiatorKernelTest, public testing::WithParamInterface<Naming> {
 protected:
    static void TearDownTestSuite() { useMultipath(true); }

    void SetUp() override {
        useMultipath(GetParam() == Naming::kMultipath);
        InitiatorKernelTest::SetUp();
        initiator = makeInitiator();
        auto connected = initiator->connect(kLoopback, target->nqn());
        ASSERT_TRUE(connected.ok()) << connected.error().message;
        connection = connected.take();
    }
    void TearDown() override {
        connection.reset();
        InitiatorKernelTest::TearDown();
    }
    Result<NamespaceIdentity> check(int fd) const {
        return checkIdentity("/sys", fd, target->nqn(), kNsid, kFileBytes);
    }

    std::unique_ptr<Initiator> initiator;
    std::shared_ptr<Connection> connection;
};

// Two instantiations, so that nvme_core is loaded anew once and not for each test.
const auto kName = [](const auto&) { return std::string("naming"); };
INSTANTIATE_TEST_SUITE_P(Multipath, NamespaceKernelTest, testing::Values(Naming::kMultipath),
                         kName);
INSTANTIATE_TEST_SUITE_P(Plain, NamespaceKernelTest, testing::Values(Naming::kPlain), kName);

TEST_P(NamespaceKernelTest, ReadsAndWritesTheExportedFile) {
    auto opened = open(*initiator, *connection);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(opened.value().size, kFileBytes);
    EXPECT_EQ(opened.value().blockSize, 4096u);
    exchangeData(opened.value().fd.get(), backingFile(), 1);
    EXPECT_TRUE(check(opened.value().fd.get()).ok());
    // The naming is what this test says it is.
    const bool belowController = std::filesystem::exists(
        "/sys/class/nvme/" + *controllers().rbegin() + "/" + opened.value().deviceName);
    EXPECT_EQ(belowController, GetParam() == Naming::kPlain);
}

// The number in a device's name is the order of creation, not the nsid.
TEST_P(NamespaceKernelTest, FindsEachOfSeveral) {
    const uint32_t nsids[] = {kNsid, 1000, 7, 2};
    for (const uint32_t nsid : nsids) {
        const std::string path =
            nsid == kNsid ? backingFile() : makeBackingFile("file" + std::to_string(nsid));
        if (nsid != kNsid) target->addNamespace(nsid, path);
        auto opened = open(*initiator, *connection, nsid);
        ASSERT_TRUE(opened.ok()) << opened.error().message;
        exchangeData(opened.value().fd.get(), path, nsid);
    }
}

// Case 2: the same NQN and nsid, another uuid.
TEST_P(NamespaceKernelTest, RefusesAnotherUuid) {
    target->addNamespace(6, makeBackingFile("other"), "abcdef00-0000-4000-8000-000000000001");
    const auto opened = open(*initiator, *connection, 6);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ESTALE) << opened.error().message;
    EXPECT_THAT(opened.error().message, HasSubstr("abcdef00-0000-4000-8000-000000000001"));
}

// Case 2: the same NQN and nsid, another size.
TEST_P(NamespaceKernelTest, RefusesAnotherSize) {
    for (const uint64_t size : {kFileBytes - 4096, kFileBytes + 4096}) {
        const auto opened = open(*initiator, *connection, kNsid, size);
        ASSERT_FALSE(opened.ok());
        EXPECT_EQ(opened.error().code, ESTALE) << opened.error().message;
    }
}

// Case 47.
TEST_P(NamespaceKernelTest, ANamespaceAddedAfterTheConnectAppears) {
    const auto early = initiator->openNamespace(*connection, 9, kFileBytes, O_DIRECT,
                                                std::chrono::steady_clock::now());
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().code, ENXIO) << early.error().message;
    const std::string path = makeBackingFile("late");
    std::thread adder([&] { target->addNamespace(9, path); });
    auto opened = open(*initiator, *connection, 9);
    adder.join();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    exchangeData(opened.value().fd.get(), path, 2);
}

TEST_P(NamespaceKernelTest, ARemovedNamespaceIsGone) {
    auto opened = open(*initiator, *connection);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    target->removeNamespace(kNsid);
    EXPECT_TRUE(eventually([&] { return !check(opened.value().fd.get()).ok(); }));
    EXPECT_EQ(check(opened.value().fd.get()).error().code, ENXIO);
    const auto again = initiator->openNamespace(*connection, kNsid, kFileBytes, O_DIRECT,
                                                std::chrono::steady_clock::now() + 100ms);
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, ENXIO) << again.error().message;
}

// Case 3: the name of the device goes to another subsystem's.
TEST_P(NamespaceKernelTest, ARecycledDeviceNameIsNotMistaken) {
    auto opened = open(*initiator, *connection);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    const std::string name = opened.value().deviceName;
    const auto before = controllers();
    deleteController(*before.rbegin());
    EXPECT_EQ(check(opened.value().fd.get()).error().code, ENXIO);
    opened.value().fd.reset();

    PlainTarget other({"tcp", "ipv4", "127.0.0.1", "4421"});
    other.addNamespace(kNsid, makeBackingFile("other"));
    std::string recycled;
    ASSERT_TRUE(eventually([&] {
        // The kernel gives a number back a moment after its last user has gone.
        if (!recycled.empty()) deleteController(recycled);
        recycled = connectByHand(other, kHostNqn, kHostId);
        return controllers() == before;
    }));
    UniqueFd stranger;
    ASSERT_TRUE(eventually([&] {
        stranger = UniqueFd(::open(("/dev/" + name).c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        return stranger.valid();
    }));
    const auto refused = check(stranger.get());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ESTALE) << refused.error().message;
    EXPECT_THAT(refused.error().message, HasSubstr(other.nqn()));
    stranger.reset();

    // Case 35: the connection recovers, the stranger's controller stays.
    auto again = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_NE(again.value(), connection);
    auto reopened = open(*initiator, *again.value());
    ASSERT_TRUE(reopened.ok()) << reopened.error().message;
    exchangeData(reopened.value().fd.get(), backingFile(), 3);
    connection.reset();
    EXPECT_EQ(attribute(recycled, "subsysnqn"), other.nqn());
    deleteController(recycled);
}

TEST_P(NamespaceKernelTest, SaysThatTheControllerWasDeleted) {
    deleteController(*controllers().rbegin());
    const auto opened = open(*initiator, *connection);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ENXIO);
    EXPECT_THAT(opened.error().message, HasSubstr("connect again"));
}

}  // namespace
}  // namespace initiator_test
