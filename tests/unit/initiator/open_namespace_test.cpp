// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "fake_host.h"
#include "initiator_impl.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr uint32_t kNsid = 40;
constexpr uint64_t kSize = uint64_t{2048} * 512;

class OpenNamespaceTest : public testing::Test {
 protected:
    void SetUp() override {
        auto connected = initiator->connect(kAddress, kNqn);
        ASSERT_TRUE(connected.ok()) << connected.error().message;
        connection = connected.take();
        host.addSubsystem("nvme-subsys5", kNqn, "nvme0");
    }
    Result<RemoteNamespace> open(std::chrono::milliseconds limit = 20s) {
        return initiator->openNamespace(*connection, kNsid, kSize, 0, Clock::now() + limit);
    }
    void addDisk(FakeDisk disk) { host.addDisk(host.subsystemDir("nvme-subsys5"), kNqn, disk); }

    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::unique_ptr<Initiator> initiator = makeInitiator(host, fabrics);
    std::shared_ptr<Connection> connection;
};

TEST_F(OpenNamespaceTest, OpensAndDescribes) {
    addDisk({.name = "nvme5n1", .nsid = kNsid});
    const auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_TRUE(opened.value().fd.valid());
    EXPECT_EQ(opened.value().deviceName, "nvme5n1");
    EXPECT_EQ(opened.value().size, kSize);
    EXPECT_EQ(opened.value().blockSize, 4096u);
}

TEST_F(OpenNamespaceTest, OpensTheControllersOwnDeviceWithoutMultipath) {
    host.addDisk(host.controllerDir("nvme0"), kNqn, {.name = "nvme0n1", .nsid = kNsid});
    const auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    EXPECT_EQ(opened.value().deviceName, "nvme0n1");
}

// Case 36: the kernel joins no requests, or a bad range would fail more than those that touch it.
// With multipath the queue is that of the controller's hidden device.
TEST_F(OpenNamespaceTest, HasTheKernelKeepRequestsApart) {
    const auto merging = [&](const fs::path& parent, const char* name) {
        return FakeHost::read(parent / name / "queue/nomerges");
    };
    const fs::path own = host.controllerDir("nvme0"), shared = host.subsystemDir("nvme-subsys5");
    addDisk({.name = "nvme5n1", .nsid = kNsid});
    host.addDisk(own, kNqn, {.name = "nvme5c0n1", .nsid = kNsid, .minor = 2});
    host.addDisk(own, kNqn, {.name = "nvme5c0n2", .nsid = 2, .minor = 3});
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(merging(own, "nvme5c0n1"), "2");
    EXPECT_EQ(merging(own, "nvme5c0n2"), "0") << "another namespace's";
    EXPECT_EQ(merging(shared, "nvme5n1"), "0");
    // The kernel may wait for I/O before it sets what is set.
    const fs::path file = own / "nvme5c0n1/queue/nomerges";
    const auto longAgo = fs::last_write_time(file) - std::chrono::hours(1);
    fs::last_write_time(file, longAgo);
    ASSERT_TRUE(open().ok());
    EXPECT_EQ(fs::last_write_time(file), longAgo) << "it was set again";
    // Somebody else's settings are theirs.
    host.addController({.name = "nvme4", .nqn = kOtherNqn});
    const fs::path theirs = host.controllerDir("nvme4");
    host.addDisk(theirs, kOtherNqn, {.name = "nvme4n1", .nsid = kNsid, .minor = 4});
    const auto foreign = initiator->connect(kAddress, kOtherNqn);
    ASSERT_TRUE(foreign.ok());
    ASSERT_TRUE(
        initiator->openNamespace(*foreign.value(), kNsid, kSize, 0, Clock::now() + 20s).ok());
    EXPECT_EQ(merging(theirs, "nvme4n1"), "0");
}

// Case 47: a file is registered after the connect.
TEST_F(OpenNamespaceTest, WaitsForANamespace) {
    std::thread adder([&] { addDisk({.name = "nvme5n1", .nsid = kNsid}); });
    const auto opened = open();
    adder.join();
    EXPECT_TRUE(opened.ok()) << opened.error().message;
}

TEST_F(OpenNamespaceTest, WaitsForTheDeviceNodeWhichCanLag) {
    addDisk({.name = "nvme5n1", .nsid = kNsid});
    fs::remove(host.dev() / "nvme5n1");
    std::thread adder([&] { host.addNode("nvme5n1", 1); });
    const auto opened = open();
    adder.join();
    EXPECT_TRUE(opened.ok()) << opened.error().message;
}

TEST_F(OpenNamespaceTest, SaysWhatDidNotAppear) {
    const auto opened = open(10ms);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ENXIO);
    EXPECT_THAT(opened.error().message, HasSubstr("namespace 40 of " + kNqn));
    addDisk({.name = "nvme5n1", .nsid = kNsid});
    fs::remove(host.dev() / "nvme5n1");
    const auto nodeless = open(10ms);
    ASSERT_FALSE(nodeless.ok());
    EXPECT_EQ(nodeless.error().code, ENXIO);
    EXPECT_THAT(nodeless.error().message, HasSubstr((host.dev() / "nvme5n1").string()));
    EXPECT_THAT(nodeless.error().message, HasSubstr("make the host's /dev visible"));
    // A node that is another device's, as containers may have it.
    const auto unfit = [](const std::string& path, int) -> Result<OpenedDevice> {
        return makeError(ENXIO, "cannot open " + path);
    };
    const NamespaceOpener opener(host.sys().string(), host.dev().string(), unfit);
    const auto other = opener.open(dynamic_cast<const ControllerConnection&>(*connection),
                                   {kNsid, kSize, 0}, Clock::now() + 5ms, {});
    ASSERT_FALSE(other.ok());
    EXPECT_EQ(other.error().code, ENXIO);
    EXPECT_THAT(other.error().message, HasSubstr("the node can be another device's"));
}

TEST_F(OpenNamespaceTest, AsksTheKernelToLookAgainOnce) {
    EXPECT_EQ(open(100ms).error().code, ENXIO);
    EXPECT_EQ(FakeHost::read(host.controllerDir("nvme0") / "rescan_controller"), "1");
}

// Case 2: the same NQN and nsid with another uuid or size. Waiting would not make it right.
TEST_F(OpenNamespaceTest, RefusesAnotherUuidOrSizeAtOnce) {
    int looks = 0;
    const auto counting = [&, open = host.deviceOpen()](const std::string& path, int flags) {
        ++looks;
        return open(path, flags);
    };
    InitiatorImpl counted(host.options(), fabrics, HostIdentity{kHostNqn, kHostId}, counting);
    const auto own = counted.connect(kAddress, kNqn);
    ASSERT_TRUE(own.ok());
    const auto openCounted = [&] {
        looks = 0;
        return counted.openNamespace(*own.value(), kNsid, kSize, 0, Clock::now() + 2s);
    };
    addDisk({.name = "nvme5n1", .nsid = kNsid, .uuid = "abcdef00-0000-4000-8000-000000000001"});
    EXPECT_EQ(openCounted().error().code, ESTALE);
    EXPECT_EQ(looks, 1);
    fs::remove_all(host.subsystemDir("nvme-subsys5") / "nvme5n1");
    addDisk({.name = "nvme5n1", .nsid = kNsid, .sectors = 4096});
    const auto opened = openCounted();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ESTALE);
    EXPECT_EQ(looks, 1);
    EXPECT_THAT(opened.error().message, HasSubstr("2097152 bytes"));
    EXPECT_THAT(opened.error().message, HasSubstr("1048576 bytes"));
}

// Case 3: the node of that name leads to a device of another subsystem.
TEST_F(OpenNamespaceTest, RefusesARecycledName) {
    host.addController({.name = "nvme8", .nqn = kOtherNqn});
    host.addSubsystem("nvme-subsys8", kOtherNqn, "nvme8");
    host.addDisk(host.subsystemDir("nvme-subsys8"), kOtherNqn,
                 {.name = "nvme8n1", .nsid = kNsid, .minor = 8});
    addDisk({.name = "nvme5n1", .nsid = kNsid});
    host.addNode("nvme5n1", 8);
    const auto opened = open(10ms);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ESTALE);
    EXPECT_THAT(opened.error().message, HasSubstr(kOtherNqn));
    // Only a node that lags: it comes right.
    std::thread fixer([&] { host.addNode("nvme5n1", 1); });
    const auto reopened = open();
    fixer.join();
    EXPECT_TRUE(reopened.ok()) << reopened.error().message;
}

TEST_F(OpenNamespaceTest, SaysAtOnceThatTheControllerWasDeleted) {
    host.removeController("nvme0");
    const auto opened = open();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ENXIO);
    EXPECT_THAT(opened.error().message, HasSubstr("connect again"));
}

TEST_F(OpenNamespaceTest, SaysAtOnceThatTheDeviceMayNotBeOpened) {
    addDisk({.name = "nvme5n1", .nsid = kNsid});
    const auto refusing = [](const std::string& path, int) -> Result<OpenedDevice> {
        return makeError(EACCES, "cannot open " + path);
    };
    InitiatorImpl strict(host.options(), fabrics, HostIdentity{kHostNqn, kHostId}, refusing);
    auto own = strict.connect(kAddress, kNqn);
    ASSERT_TRUE(own.ok());
    const auto opened = strict.openNamespace(*own.value(), kNsid, kSize, 0, Clock::now() + 20s);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, EACCES);
    EXPECT_THAT(opened.error().message, HasSubstr("root"));
}

TEST_F(OpenNamespaceTest, InterruptEndsAWait) {
    std::thread waiting([&] {
        const auto opened =
            initiator->openNamespace(*connection, kNsid, kSize, 0, Clock::time_point::max());
        EXPECT_EQ(opened.error().code, ECANCELED);
    });
    initiator->interrupt();
    waiting.join();
}

// Without udev a write to a missing node leaves a plain file of that name.
TEST(OpenBlockDevice, RefusesWhatIsNone) {
    const FakeHost host;
    FakeHost::write(host.dev() / "nvme5n1", "x");
    const auto opened = openBlockDevice(host.dev() / "nvme5n1", O_RDWR | O_CLOEXEC);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ENOTBLK);
    EXPECT_EQ(openBlockDevice(host.dev() / "none", O_RDWR | O_CLOEXEC).error().code, ENOENT);
}

TEST_F(OpenNamespaceTest, RefusesTheConnectionOfAnotherInitiator) {
    struct Other : Connection {
        const std::string& subsystemNqn() const override { return kNqn; }
        bool isLive() const override { return true; }
        bool isReconnecting() const override { return false; }
        bool isOurs() const override { return false; }
        bool provokeAnswer(const std::shared_ptr<const UniqueFd>&) override { return true; }
        void giveUp() override {}
    } other;
    EXPECT_EQ(initiator->openNamespace(other, kNsid, kSize, 0, Clock::now()).error().code, EINVAL);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
